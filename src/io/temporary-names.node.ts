/**
 * Names of unfinished files and folders. A name identifies the process that writes, so that no other process removes
 * the file while this process runs.
 */
import { createHash, randomBytes } from "node:crypto";
import { type Process, startOf, thisProcess, unseen } from "./process-identity.node.ts";

/** Digits that distinguish a process from other processes with the same number, even on other machines. */
const markOf = ({ started, boot, host }: Omit<Process, "pid">): string => {
  // On some systems, only the minute of the boot is known. The next process may compute a different minute, so use the
  // host name instead.
  const known = boot.startsWith("minute ") ? host : boot;
  return createHash("sha256").update(`${host} ${known} ${started}`).digest("hex").slice(0, 4);
};

/** Identity of this process, determined once. */
let self: Process | undefined;
const own = (): Process => {
  self ??= thisProcess();
  return self;
};

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0").slice(-digits);

/** Identifies this thread. A thread that has ended may leave unfinished files while its process still runs. */
const thread = randomBytes(2).toString("hex");
let count = 0;

/**
 * Makes a unique temporary name for NAME. The name marks an unfinished file. The file may be deleted if its process was
 * killed.
 */
export const temporaryName = (name: string): string => {
  count++;
  return `.tmp-${hex(own().pid, 8)}${markOf(own())}${thread}${hex(count, 4)}-${name}`;
};

const pattern =
  /^\.tmp-(?:(?<pid>[0-9a-f]{8})(?<mark>[0-9a-f]{4})(?<thread>[0-9a-f]{4})[0-9a-f]{4}|[0-9a-f]{12})-(?<name>.*)$/su;

/** Returns the NAME of a temporary file `entry`, or undefined for any other entry. */
export const temporaryOf = (entry: string): string | undefined => pattern.exec(entry)?.groups?.name;

/** Whether a running process on this machine is writing the temporary file `entry`. */
export const isBeingWritten = (entry: string): boolean => {
  const { pid: digits, mark, thread: writer } = pattern.exec(entry)?.groups ?? {};
  if (digits === undefined) return false;
  const pid = Number.parseInt(digits, 16);
  if (pid === own().pid && mark === markOf(own())) return writer === thread;
  const started = startOf(pid);
  return started === unseen || (started !== undefined && mark === markOf({ ...own(), started }));
};
