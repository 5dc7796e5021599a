/** The machine that this program runs on, and the program that runs it. */
import { arch, availableParallelism, cpus, release, totalmem, type } from "node:os";

/** The program that runs this one. Deno and Bun name the version of Node that they follow as theirs. */
const runtimeName = (): string => {
  const { deno, bun } = process.versions;
  if (deno !== undefined) return `Deno ${deno}`;
  return bun === undefined ? `Node.js ${process.version}` : `Bun ${bun}`;
};

/** Facts about this machine, for lines and reports. */
export interface MachineFacts {
  readonly cpu: string;
  /** Threads that the machine runs at a time. */
  readonly cores: number;
  readonly memoryBytes: number;
  readonly os: string;
  /** As `process.version` has it. */
  readonly node: string;
  /** With its name, which may be Deno or Bun. */
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
