/** Processes of this machine, distinct from later ones with their numbers: by their start, and the boot of the machine. */
import { spawnSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname, uptime } from "node:os";
import { systemErrorCode } from "../core/errors/system-error.ts";

/** A process, distinct from all others with its number. */
export interface Process {
  readonly pid: number;
  /** When it started, as the system counts. */
  readonly started: string;
  /** Boot of the machine, and namespace of process numbers. */
  readonly boot: string;
  readonly host: string;
}

const readLine = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
};

/** Start of a process that runs and cannot be inspected. */
export const unseen = "unseen";

const isThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) !== "ESRCH";
  }
};

/** The largest number of a process: the system would take a larger one for a negative one, which stands for many processes. */
const largestPid = 2 ** 31 - 1;

/** Start of process `pid`; undefined if there is none. */
export const startOf = (pid: number): string | undefined => {
  if (!Number.isInteger(pid) || pid < 1 || pid > largestPid) return undefined;
  if (process.platform === "linux") {
    const stat = readLine(`/proc/${pid}/stat`);
    // The name in parentheses may have any character; field 22 counts from the process number. A zombie has ended.
    const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields !== undefined) return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
    // Some systems show nothing of another user's process.
    return isThere(pid) ? unseen : undefined;
  }
  if (!isThere(pid)) return undefined;
  if (process.platform === "win32") return "unknown";
  const { status, stdout } = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : "unknown";
};

/** The namespace of process numbers of this process: a container has its own. */
const bootOf = (): string => {
  const boot = readLine("/proc/sys/kernel/random/boot_id");
  // Elsewhere the minute of the boot; uptime and clock mostly disagree by less.
  if (boot === undefined) return `minute ${Math.round((Date.now() / 1000 - uptime()) / 60)}`;
  try {
    return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return boot;
  }
};

/** The process that runs this. */
export const thisProcess = (): Process => ({
  pid: process.pid,
  started: startOf(process.pid) ?? "unknown",
  boot: bootOf(),
  host: hostname(),
});
