/** Runs that other processes compute. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { lockHolder } from "../../io/lock.node.ts";
import { HttpError } from "../http/http-error.ts";

/** The words of a process's command line; none if the system does not tell. */
const commandOf = (pid: number): readonly string[] => {
  try {
    if (process.platform === "linux") return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    const { stdout } = spawnSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
    return stdout.trim().split(/\s+/u);
  } catch {
    return [];
  }
};

/** The command of this program that a command line runs; undefined: it runs another program. */
export const verbOf = (words: readonly string[]): string | undefined => {
  const at = words.findIndex((word) => basename(word) === "foretoken" || /[/\\]cli[/\\]main\.js$/u.test(word));
  return at === -1 ? undefined : words.slice(at + 1).find((word) => word !== "" && !word.startsWith("-"));
};

/** Why a process must not get the signal; undefined: it saves its run at the signal, and ends. */
const reasonAgainst = (pid: number): string | undefined => {
  switch (verbOf(commandOf(pid))) {
    case "train":
      return undefined;
    case "studio":
      return "one of another studio, which would end with it: its own page stops it";
    default:
      return "one of another program, which a signal may end before it has saved the run: stop it there";
  }
};

/**
 * Stops a run that another process computes, as Ctrl-C in its terminal would: only one of `foretoken train` is known to save.
 * @param lock the path of the run's lock.
 */
export const stopElsewhere = async (lock: string): Promise<void> => {
  const holder = await lockHolder(lock);
  if (holder === null) throw new HttpError(409, "stop: the run must be under way; got one that nobody computes");
  const refuse = (got: string): never => {
    throw new HttpError(409, `stop: the run must be one that can be stopped from here; got ${got}`);
  };
  if (holder.isOwn) refuse("one of this process");
  if (!holder.isNear) refuse("one on another machine or in another container");
  if (process.platform === "win32")
    refuse("one of another terminal, where Ctrl-C saves it: Windows would end it at once");
  const reason = reasonAgainst(holder.pid);
  if (reason !== undefined) refuse(reason);
  try {
    process.kill(holder.pid, "SIGTERM");
  } catch {
    refuse(`process ${holder.pid}, at which the system lets nobody else send a signal`);
  }
};
