/** Facts about the machine and its software. Every measurement records them. */
import { arch, availableParallelism, cpus, release, totalmem, type } from "node:os";
import { namedLevels, peakOf } from "./roofs.mjs";

export const machine = () => ({
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: availableParallelism(),
  memoryBytes: totalmem(),
  system: `${type()} ${release()} ${arch()}`,
  node: process.version,
});

/** The machine in one line. */
export const machineLine = ({ cpu, cores, memoryBytes, system, node }) =>
  `${cpu}, ${cores} cores, ${Math.round(memoryBytes / 2 ** 30)} GiB; ${system}; Node ${node}`;

/** One line with the roofs (highest rates) of an instruction set. */
export const roofsLine = (roofs) => {
  const bfloat16 = peakOf(roofs, "bfloat16");
  const named = Object.entries(namedLevels(roofs)).map(([name, { read }]) => `${name} ${Math.round(read)}`);
  return [
    `peak ${Math.round(roofs.float32)} GFLOP/s in float32`,
    bfloat16 === roofs.float32 ? "no instruction for bfloat16" : `${Math.round(bfloat16)} in bfloat16`,
    `read GB/s: ${named.join(", ")}`,
  ].join("; ");
};
