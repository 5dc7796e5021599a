/** Facts about the machine and the runtime of this program. */
import { arch, availableParallelism, cpus, release, totalmem, type } from "node:os";

/**
 * Name and version of the runtime. Deno and Bun report a version of Node too: the version with which they are
 * compatible.
 */
const runtimeName = (): string => {
  const { deno, bun } = process.versions;
  if (deno !== undefined) return `Deno ${deno}`;
  return bun === undefined ? `Node.js ${process.version}` : `Bun ${bun}`;
};

/** Facts about this machine, for output lines and reports. */
export interface MachineFacts {
  readonly cpu: string;
  /** Number of threads that the machine can run at the same time. */
  readonly cores: number;
  readonly memoryBytes: number;
  readonly os: string;
  /** Version of Node, as in `process.version`. */
  readonly node: string;
  /** Version of the runtime, with its name, which may be Deno or Bun. */
  readonly runtime: string;
}

export const machineFacts = (): MachineFacts => ({
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: availableParallelism(),
  memoryBytes: totalmem(),
  os: `${type()} ${release()} ${arch()}`,
  node: process.version,
  runtime: runtimeName(),
});
