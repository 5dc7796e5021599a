/**
 * A lock for a folder. The lock is a file that identifies the process that uses the folder. The lock file contains the
 * process number, the process's start time and the machine's boot. The lock needs no heartbeat. If the process has
 * crashed, another process can take over the lock.
 * The thread that holds the lock keeps the lock file open. The file also contains the thread's descriptor of this open
 * file. When a thread ends, the system closes its files. Then other threads of the process see that the lock is free.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from "node:fs";
import { link, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isRecord } from "../core/checks/is-record.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { readRegularFile } from "../core/system/regular-file.node.ts";
import { parseLine } from "./json-line.ts";
import { type Process, startOf, thisProcess, unseen } from "./process-identity.node.ts";
import { temporaryName } from "./temporary-names.node.ts";

/**
 * A file that a process has open. The device and the inode distinguish this file from a later file with the same
 * descriptor.
 */
interface OpenFile {
  readonly fd: number;
  readonly device: string;
  readonly inode: string;
}

/** The holder of a lock. */
interface Holder extends Process {
  /** The open lock file of the thread that holds the lock. Absent if this part of the lock file is damaged. */
  readonly file?: OpenFile;
}

const identify = (fd: number): OpenFile => {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return { fd, device: String(dev), inode: String(ino) };
};

/**
 * Returns whether any thread of this process has `file` open for writing. Only Linux can tell. On other systems, the
 * function returns true.
 */
const isOpenInProcess = ({ fd, device, inode }: OpenFile): boolean => {
  if (process.platform !== "linux") return true;
  try {
    const { dev, ino } = statSync(`/proc/self/fd/${fd}`, { bigint: true });
    const flags = /^flags:\s*([0-7]+)$/mu.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "0";
    const canWrite = (Number.parseInt(flags, 8) & (constants.O_WRONLY | constants.O_RDWR)) !== 0;
    return String(dev) === device && String(ino) === inode && canWrite;
  } catch (error) {
    return systemErrorCode(error) !== "ENOENT";
  }
};

/** Whether `file`, which a thread of this process opened for writing, is still open. */
const isOpen = (file: OpenFile): boolean => {
  // In Deno, a thread can inspect only its own files.
  if (process.versions.deno !== undefined) return isOpenInProcess(file);
  const { fd, device, inode } = file;
  try {
    const now = identify(fd);
    if (now.device !== device || now.inode !== inode) return false;
    // Another thread that reads the lock also has the file open, perhaps with the same descriptor, but not for writing.
    // A write of 0 bytes shows whether the file is open for writing.
    writeSync(fd, new Uint8Array(0));
    return true;
  } catch (error) {
    return systemErrorCode(error) !== "EBADF";
  }
};

const parseFile = (json: unknown): OpenFile | undefined => {
  if (!isRecord(json)) return undefined;
  const { fd, device, inode } = json;
  const isFile = Number.isSafeInteger(fd) && (fd as number) >= 0;
  return isFile && typeof device === "string" && typeof inode === "string"
    ? { fd: fd as number, device, inode }
    : undefined;
};

const parseHolder = (text: string): Holder | undefined => {
  const json = parseLine(text);
  if (!isRecord(json)) return undefined;
  const { pid, started, boot, host } = json;
  const isHolder =
    Number.isSafeInteger(pid) &&
    (pid as number) > 0 &&
    typeof started === "string" &&
    typeof boot === "string" &&
    typeof host === "string";
  if (!isHolder) return undefined;
  const file = parseFile(json.file);
  return { pid: pid as number, started, boot, host, ...(file === undefined ? {} : { file }) };
};

const minuteOf = (boot: string): number => Number(/^minute (\d+)$/u.exec(boot)?.[1]);

const isSameBoot = (a: string, b: string): boolean => a === b || Math.abs(minuteOf(a) - minuteOf(b)) <= 2;

/**
 * State of the process that holds the lock. `gone`: the process has ended. `elsewhere`: this process cannot see it,
 * because it is on another machine or in another container.
 */
const stateOf = (holder: Holder, self: Process): "running" | "gone" | "elsewhere" => {
  if (isSameBoot(holder.boot, self.boot)) {
    const started = startOf(holder.pid);
    if (started === unseen) return "running";
    if (started !== holder.started) return "gone";
    // Not every system allows inspecting the open files of another process.
    const isThreadGone = holder.pid === self.pid && holder.file !== undefined && !isOpen(holder.file);
    return isThreadGone ? "gone" : "running";
  }
  const [bootId] = holder.boot.split(" ");
  const [ownBootId] = self.boot.split(" ");
  // The process that holds the lock is on another machine, or in another container on this machine.
  if (holder.host !== self.host || bootId === ownBootId) return "elsewhere";
  return "gone";
};

const inUse = (where: string, path: string, holder: Holder, state: "running" | "elsewhere"): ConfigError =>
  new ConfigError({
    where,
    must: "no other process may use the folder",
    got:
      state === "running"
        ? `process ${holder.pid}${holder.pid === process.pid ? ", this process" : ""}`
        : `process ${holder.pid} of ${holder.host}, which this process cannot see`,
    hint: state === "running" ? "waiting for it, or ending it" : `removing ${path} if that process has ended`,
  });

const readIfThere = (path: string): Promise<string | undefined> =>
  readRegularFile(path, { maxBytes: 4096 }).then(
    (bytes) => new TextDecoder().decode(bytes),
    (error: unknown) => {
      if (systemErrorCode(error) === "ENOENT") return undefined;
      throw error;
    },
  );

/** A held lock. */
export interface Lock {
  /**
   * Whether another process has taken the lock. Another process can take the lock only if somebody removed the lock
   * file.
   */
  isTaken(): Promise<boolean>;
  /** Releases the lock. A second call does nothing. */
  release(): Promise<void>;
}

const besides = (path: string): string => join(dirname(path), temporaryName(basename(path)));

/** A file that identifies this process, open in this thread. */
interface HeldFile {
  /** Content of the file. */
  readonly text: string;
  /** Closes the file. Call this function only once, because the descriptor may then belong to another file. */
  close(): void;
}

const openNew = (path: string, self: Process): HeldFile => {
  // A plain descriptor, because a FileHandle is closed when it is garbage-collected.
  const fd = openSync(path, "wx");
  try {
    const text = `${JSON.stringify({ ...self, file: identify(fd) } satisfies Holder)}\n`;
    writeFileSync(fd, text);
    return { text, close: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
};

/** Creates the file atomically with its content. @returns undefined if it already exists. */
const createWhole = async (path: string, self: Process): Promise<HeldFile | undefined> => {
  const temporary = besides(path);
  let made: HeldFile | undefined;
  let isLinked = false;
  try {
    made = openNew(temporary, self);
    await link(temporary, path);
    isLinked = true;
    return made;
  } catch (error) {
    if (made === undefined) throw error;
    const code = systemErrorCode(error);
    // ENOENT: the process that holds the lock has removed the temporary file, because it looked like a file of a killed
    // process.
    if (code === "EEXIST" || code === "ENOENT") return undefined;
    // Some file systems do not support links.
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(code ?? "")) throw error;
    try {
      return openNew(path, self);
    } catch (again) {
      if (systemErrorCode(again) === "EEXIST") return undefined;
      throw again;
    }
  } finally {
    if (!isLinked) made?.close();
    await unlink(temporary).catch(() => undefined);
  }
};

const pause = (): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, 20);
  });

const isGone = (text: string, self: Process): boolean => {
  const holder = parseHolder(text);
  return holder === undefined || stateOf(holder, self) === "gone";
};

/**
 * Removes the lock file with content `found`. The process that held the lock must have ended. Only one process at a
 * time may remove the file. Otherwise, a slow process could remove the new lock of a faster process.
 */
const removeStale = async (path: string, found: string, self: Process): Promise<void> => {
  const guard = `${path}-taking`;
  const held = await createWhole(guard, self);
  if (held === undefined) {
    if (isGone((await readIfThere(guard)) ?? "", self)) await unlink(guard).catch(() => undefined);
    else await pause();
    return;
  }
  try {
    // Check again: another thread of this process may have taken the lock in the meantime, with the same content and
    // descriptor.
    if ((await readIfThere(path)) === found && isGone(found, self)) await unlink(path);
  } finally {
    await unlink(guard).catch(() => undefined);
    held.close();
  }
};

/**
 * Whether the text is a lock file that was truncated, or filled with zeros by a power failure. Complete JSON that is not
 * a lock of ours belongs to another program.
 */
const isBroken = (text: string): boolean =>
  /^\0*$/u.test(text) || (text.startsWith('{"pid"'.slice(0, text.length)) && parseLine(text) === undefined);

const lockOf = (path: string, { text, close }: HeldFile): Lock => {
  let released: Promise<void> | undefined;
  const release = async (): Promise<void> => {
    if ((await readIfThere(path).catch(() => undefined)) === text) await unlink(path).catch(() => undefined);
    // Close the file last, because other processes may remove a lock if its file is closed.
    close();
  };
  return {
    isTaken: async () => {
      const found = await readIfThere(path).catch(() => undefined);
      return found !== undefined && found !== text;
    },
    release: () => {
      released ??= release();
      return released;
    },
  };
};

/** Who holds a lock. */
export interface LockHolder {
  readonly pid: number;
  /** Whether this process holds the lock, perhaps in another thread. */
  readonly isOwn: boolean;
  /**
   * Whether this process can see the process that holds the lock: both run on the same machine and in the same
   * container.
   */
  readonly isNear: boolean;
}

/**
 * Finds the process that holds the lock `path`. Returns null if the lock is free or cannot be read. Changes nothing.
 */
export const lockHolder = async (path: string): Promise<LockHolder | null> => {
  const holder = parseHolder((await readIfThere(path).catch(() => undefined)) ?? "");
  if (holder === undefined) return null;
  const self = thisProcess();
  const state = stateOf(holder, self);
  if (state === "gone") return null;
  const isNear = state === "running";
  return { pid: holder.pid, isOwn: isNear && holder.pid === self.pid, isNear };
};

/** Maximum number of attempts to read an incomplete lock. */
const looks = 3;
/** Maximum number of attempts while other processes take over the lock. */
const attempts = 100;

/**
 * Takes the lock `path`.
 * @param where the locked folder, for the error.
 * @throws ConfigError if another process holds the lock, or may hold it on another machine.
 */
export const takeLock = async (path: string, where: string): Promise<Lock> => {
  const self = thisProcess();
  for (let attempt = 0; attempt < attempts; attempt++) {
    const held = await createWhole(path, self);
    if (held !== undefined) return lockOf(path, held);
    const found = await readIfThere(path);
    if (found === undefined) continue;
    const holder = parseHolder(found);
    if (holder !== undefined) {
      const state = stateOf(holder, self);
      if (state !== "gone") throw inUse(where, path, holder, state);
    } else if (!isBroken(found)) {
      throw new ConfigError({
        where,
        must: `${basename(path)} must be a lock file of foretoken`,
        got: "another file",
        hint: "renaming that file",
      });
    } else if (attempt < looks) {
      await pause();
      continue;
    }
    await removeStale(path, found, self);
  }
  throw new ConfigError({
    where,
    must: "no other process may use the folder",
    got: "other processes that are taking the lock",
    hint: "waiting for them",
  });
};
