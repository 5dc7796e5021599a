/** What a measurement must name: the machine, and what ran on it. */
import { arch, availableParallelism, cpus, release, totalmem, type } from "node:os";

export const machine = () => ({
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: availableParallelism(),
  memoryBytes: totalmem(),
  system: `${type()} ${release()} ${arch()}`,
  node: process.version,
});

/** In one line. */
export const machineLine = ({ cpu, cores, memoryBytes, system, node }) =>
  `${cpu}, ${cores} cores, ${Math.round(memoryBytes / 2 ** 30)} GiB; ${system}; Node ${node}`;

/** The best of the roofs, in one line. */
export const roofsLine = (roofs) => {
  const bf16 = Math.max(roofs.dotBf16, roofs.amxBf16);
  const levels = ["l2", "l3", "memory"].map((level) => `${level} ${Math.round(roofs[level].read)}`);
  return [
    `peak ${Math.round(roofs.float32)} GFLOP/s in float32`,
    bf16 === 0 ? "no instruction for bfloat16" : `${Math.round(bf16)} in bfloat16`,
    `read GB/s: ${levels.join(", ")}`,
  ].join("; ");
};
