import type { ChildProcessByStdio } from "node:child_process";
import type { Readable, Writable } from "node:stream";

export interface Outcome {
  /** Exit status of the process; null if a signal ended the process. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * The output of a process in its pipes, after the process has ended. At each new output, `onOutput` gets all output so
 * far.
 */
export const outcomeOf = (
  child: ChildProcessByStdio<Writable | null, Readable, Readable>,
  onOutput?: (stdout: string) => void,
): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      onOutput?.(stdout);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject).on("close", (status) => resolve({ status, stdout, stderr }));
  });
