/** Parses and checks flags that the benchmarks share. */
import { availableParallelism } from "node:os";
import { configs, measured } from "./configs.mjs";

/** Prints the user's mistake, and ends the program. */
export const refuse = (message) => {
  console.error(message);
  process.exit(2);
};

/** Options for parseArgs of node:util. */
export const commonOptions = /** @type {const} */ ({
  config: { type: "string", default: measured.join(",") },
  threads: { type: "string", default: String(availableParallelism()) },
  python: { type: "string", default: "python3" },
  json: { type: "string" },
});

/** Option of programs that measure roofs: the largest block of memory for which they measure the speed, in MiB. */
export const roofOptions = /** @type {const} */ ({ "roof-memory": { type: "string", default: "512" } });

/** A whole number above 0. */
export const wholeNumber = (flag, text) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) refuse(`--${flag}: must be a whole number above 0; got ${text}`);
  return value;
};

/** A list of names separated by commas. Each name must be in `known`. */
export const namesOf = (flag, text, known) => {
  const names = text.split(",").filter((name) => name !== "");
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined || names.length === 0)
    refuse(`--${flag}: must be one or more of ${known.join(", ")}; got ${unknown ?? "none"}`);
  return names;
};

export const configNames = (text) => namesOf("config", text, Object.keys(configs));
