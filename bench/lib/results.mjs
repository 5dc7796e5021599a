/**
 * The results file: the figures of one machine, in parts. A later measurement replaces only the figures that it
 * measures again.
 */

import { join } from "node:path";
import { root } from "../../scripts/build/common.mjs";

/** The programs in this folder that measure the parts: one program for each part. */
export const parts = /** @type {const} */ (["train", "kernels", "generate"]);

/** File name for a machine: `bench/results/intel-xeon-processor-2-cores.json`. */
export const resultsFile = ({ cpu, cores }) => {
  const words = `${cpu.replaceAll(/\(R\)|\(TM\)/gu, "")} ${cores} cores`.toLowerCase().match(/[a-z0-9]+/gu) ?? [];
  return join(root, "bench/results", `${words.join("-")}.json`);
};

const isContainer = (value) => typeof value === "object" && value !== null;
/** Maximum length of a list of rows that is written as one line of JSON. A longer list has one line for each row. */
const oneLine = 800;
const hasLines = (value) =>
  (Array.isArray(value) && value.some(isContainer) && JSON.stringify(value).length > oneLine) ||
  (isContainer(value) && Object.values(value).some(hasLines));

/**
 * The text of a results file: JSON with one line for each row of figures, so that a diff shows which rows were measured
 * again.
 * @param {any} value
 */
export const resultsText = (value, indent = "") => {
  if (!hasLines(value)) return JSON.stringify(value);
  const inner = `${indent} `;
  const isList = Array.isArray(value);
  const lines = Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .map(([name, one]) => `${inner}${isList ? "" : `${JSON.stringify(name)}: `}${resultsText(one, inner)}`);
  return [isList ? "[" : "{", lines.join(",\n"), `${indent}${isList ? "]" : "}"}`].join("\n");
};

/** Identity of a measurement, unique in its part. */
const keyOf = ({ name, dtype, backend }) => [name, dtype, backend].join(" ");

/**
 * Returns the measurements of `earlier`, in the same order. A measurement in `later` replaces the measurement with the
 * same identity. The file may mix rows that were measured at different times. So facts about a whole measurement are
 * copied to each of its rows.
 * @param {{ measurements: readonly any[] } | undefined} earlier
 * @param {{ machine?: unknown, measurements: readonly any[] }} later with the format of a part's --json.
 */
export const mergePart = (earlier, { machine: _, measurements, ...call }) => {
  const merged = new Map((earlier?.measurements ?? []).map((one) => [keyOf(one), one]));
  for (const one of measurements) merged.set(keyOf(one), { ...call, ...one });
  return { measurements: [...merged.values()] };
};
