import { readFileSync } from "node:fs";

/** Version of the package. */
export const version = (): string => {
  try {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    return version;
  } catch {
    // Commands work without the version, so an unreadable package.json is ignored.
    return "unknown";
  }
};
