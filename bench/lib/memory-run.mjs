/**
 * A process for bench/memory.mjs. It trains as its JSON argument says and writes one line of JSON: the estimate of its
 * memory, and its peak.
 */
import { train } from "../../dist/index.js";
import { peakMemory } from "./peak-memory.mjs";

const { resume, ...options } = JSON.parse(process.argv[2] ?? "{}");
const told =
  resume === undefined ? { preset: "quick", finalSampleTokens: 20, ...options } : { resume, backend: options.backend };
let start;
for await (const event of train({ ...told, threads: options.threads, memoryCheck: false })) {
  if (event.type === "start") start = event;
}
const { memory, parameters, backend, instructionSet, dtype } = start;
process.stdout.write(
  `${JSON.stringify({ memory, parameters, backend, instructionSet, dtype, measured: peakMemory() })}\n`,
);
