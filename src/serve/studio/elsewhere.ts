/** Stops runs that other processes execute. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { lockHolder } from "../../io/lock.node.ts";
import { HttpError } from "../http/http-error.ts";

/** The words of a process's command line. Empty if the system does not reveal the command line. */
const commandOf = (pid: number): readonly string[] => {
  try {
    if (process.platform === "linux") return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    const { stdout } = spawnSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
    return stdout.trim().split(/\s+/u);
  } catch {
    return [];
  }
};

/** The Foretoken command in a command line, such as `train`. Undefined: the command line starts another program. */
export const verbOf = (words: readonly string[]): string | undefined => {
  const at = words.findIndex((word) => basename(word) === "foretoken" || /[/\\]cli[/\\]main\.js$/u.test(word));
  return at === -1 ? undefined : words.slice(at + 1).find((word) => word !== "" && !word.startsWith("-"));
};

/** Why a process must not get the signal. Undefined: the process saves its run and ends when it gets the signal. */
const reasonAgainst = (pid: number): string | undefined => {
  switch (verbOf(commandOf(pid))) {
    case "train":
      return undefined;
    case "studio":
      return "a run of another studio, which the signal would end too: stop the run on that studio's page";
    default:
      return "a run of another program, which the signal may end before the run is saved: stop the run in that program";
  }
};

/**
 * Stops a run of another process, like Ctrl-C in that process's terminal. The function sends a signal only to
 * `foretoken train`, because this command is known to save its run.
 * @param lock path of the run's lock.
 */
export const stopElsewhere = async (lock: string): Promise<void> => {
  const holder = await lockHolder(lock);
  if (holder === null)
    throw new HttpError(409, "stop: the run must be in progress; got a run that no process executes");
  const refuse = (got: string): never => {
    throw new HttpError(409, `stop: the studio must be able to stop the run; got ${got}`);
  };
  if (holder.isOwn) refuse("a run of the same process");
  if (!holder.isNear) refuse("a run on another machine or in another container");
  if (process.platform === "win32")
    refuse(
      "a run of another terminal: stop the run there with Ctrl-C, because here Windows would end the run without saving it",
    );
  const reason = reasonAgainst(holder.pid);
  if (reason !== undefined) refuse(reason);
  try {
    process.kill(holder.pid, "SIGTERM");
  } catch {
    refuse(`a run of process ${holder.pid}, to which this user may not send signals`);
  }
};
