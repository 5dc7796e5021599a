/** The results file of scaling.mjs and sums.mjs, one for each machine. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { resultsFile, resultsText } from "../lib/results.mjs";

/** `bench/results/scaling-intel-xeon-processor-2-cores.json`. */
export const scalingFile = (machine) => {
  const file = resultsFile(machine);
  return join(dirname(file), `scaling-${basename(file)}`);
};

/** Returns {} if the file does not exist. */
export const readResults = (file) => {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") return {};
    throw error;
  }
};

/**
 * The text is written to a temporary file, which is then renamed. So an interrupted benchmark does not damage the old
 * file.
 */
export const writeResults = (file, results) => {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.tmp`, `${resultsText(results)}\n`);
  renameSync(`${file}.tmp`, file);
};
