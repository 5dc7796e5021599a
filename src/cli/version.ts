import { readFileSync } from "node:fs";

/** The version of the package. */
export const version = (): string => {
  try {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    return version;
  } catch {
    // Every command works without it.
    return "unknown";
  }
};
