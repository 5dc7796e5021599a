/** The file of results: one machine's figures, part by part, in which a later run replaces what it measured again. */

import { join } from "node:path";
import { root } from "../../scripts/build-common.mjs";

/** Programs of this folder, each of which measures one part. */
export const parts = /** @type {const} */ (["train", "kernels", "generate"]);

/** Of a machine's own: `bench/results/intel-xeon-processor-2-cores.json`. */
export const resultsFile = ({ cpu, cores }) => {
  const words = `${cpu.replaceAll(/\(R\)|\(TM\)/gu, "")} ${cores} cores`.toLowerCase().match(/[a-z0-9]+/gu) ?? [];
  return join(root, "bench/results", `${words.join("-")}.json`);
};

/** What a measurement is of: no other in its part has the same. */
const keyOf = ({ name, dtype, backend }) => [name, dtype, backend].join(" ");

/**
 * `earlier` with what `later` measured in its place, in the order in which it was first measured. What belongs to one call
 * of a part goes to each of its measurements, since they may now come from several.
 * @param {{ measurements: readonly any[] } | undefined} earlier
 * @param {{ machine?: unknown, measurements: readonly any[] }} later as a part's --json holds it.
 */
export const mergePart = (earlier, { machine: _, measurements, ...call }) => {
  const merged = new Map((earlier?.measurements ?? []).map((one) => [keyOf(one), one]));
  for (const one of measurements) merged.set(keyOf(one), { ...call, ...one });
  return { measurements: [...merged.values()] };
};
