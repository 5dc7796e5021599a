/**
 * Identifies processes of this machine by their start time and the machine's boot. The start time distinguishes a
 * process from a later process with the same number.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname, uptime } from "node:os";
import { systemErrorCode } from "../core/errors/system-error.ts";

/** A process. The start time, boot and host distinguish it from other processes with the same number. */
export interface Process {
  readonly pid: number;
  /** Start time, in the operating system's format. */
  readonly started: string;
  /** Identifies the boot of the machine and the namespace of process numbers. */
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

/** Placeholder for the start time of a running process that cannot be inspected. */
export const unseen = "unseen";

const isThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) !== "ESRCH";
  }
};

/**
 * Largest process number. The system would interpret a larger number as a negative number, which means a group of
 * processes.
 */
const largestPid = 2 ** 31 - 1;

/** Returns the start time of process `pid`, or undefined if the process does not exist. */
export const startOf = (pid: number): string | undefined => {
  if (!Number.isInteger(pid) || pid < 1 || pid > largestPid) return undefined;
  if (process.platform === "linux") {
    const stat = readLine(`/proc/${pid}/stat`);
    // The name in parentheses may contain any characters, so parse the fields after it. Field 22 is the start time. A
    // zombie (Z) has ended.
    const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields !== undefined) return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
    // Some systems hide other users' processes.
    return isThere(pid) ? unseen : undefined;
  }
  if (!isThere(pid)) return undefined;
  if (process.platform === "win32") return "unknown";
  const { status, stdout } = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : "unknown";
};

/**
 * Identifies the boot of the machine. On Linux it also identifies the namespace of process numbers, because each
 * container has its own namespace.
 */
const bootOf = (): string => {
  const boot = readLine("/proc/sys/kernel/random/boot_id");
  // On other systems, use the minute in which the machine booted: the clock minus the uptime. The error of this time is
  // usually much less than a minute.
  if (boot === undefined) return `minute ${Math.round((Date.now() / 1000 - uptime()) / 60)}`;
  try {
    return `${boot} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return boot;
  }
};

/** This process. */
export const thisProcess = (): Process => ({
  pid: process.pid,
  started: startOf(process.pid) ?? "unknown",
  boot: bootOf(),
  host: hostname(),
});
