/**
 * A process of bench/memory.mjs. The process trains with the options in its JSON argument. Then it writes one line of
 * JSON: the estimate of its memory, and its peak memory.
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
