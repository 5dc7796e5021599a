/**
 * A lock for a folder: a file that names the process that works there, its start and the boot of its machine. It needs no
 * heartbeat, and a lock that a crash left is taken over.
 *
 * The thread that has the lock keeps its file open, and the lock names that open file. When a thread ends, its files are
 * closed, so the rest of its process sees that nobody has the lock any more.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from "node:fs";
import { link, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isRecord } from "../core/checks/is-record.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { readRegularFile } from "../core/system/regular-file.node.ts";
import { type Process, startOf, thisProcess, unseen } from "./process-identity.node.ts";
import { temporaryName } from "./temporary-names.node.ts";

/** An open file of a process, distinct from later files with its number. */
interface OpenFile {
  readonly fd: number;
  readonly device: string;
  readonly inode: string;
}

/** The holder of a lock. */
interface Holder extends Process {
  /** The lock's own file, open in the thread that has the lock. Absent if its part of the lock is damaged. */
  readonly file?: OpenFile;
}

const identify = (fd: number): OpenFile => {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  return { fd, device: String(dev), inode: String(ino) };
};

/** Whether this process has `file` open to write, in any of its threads, by what Linux tells. Elsewhere: it may have. */
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

/** Whether `file`, opened by a thread of this process to write, is still open. */
const isOpen = (file: OpenFile): boolean => {
  // Deno lets a thread use its own files alone.
  if (process.versions.deno !== undefined) return isOpenInProcess(file);
  const { fd, device, inode } = file;
  try {
    const now = identify(fd);
    if (now.device !== device || now.inode !== inode) return false;
    // Threads that read the lock have it open too, perhaps by the same number, but not to write. This writes nothing.
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
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
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

/** `gone`: it has ended. `elsewhere`: it is not visible from here. */
const stateOf = (holder: Holder, self: Process): "running" | "gone" | "elsewhere" => {
  if (isSameBoot(holder.boot, self.boot)) {
    const started = startOf(holder.pid);
    if (started === unseen) return "running";
    if (started !== holder.started) return "gone";
    // Files of other processes cannot be inspected everywhere.
    const isThreadGone = holder.pid === self.pid && holder.file !== undefined && !isOpen(holder.file);
    return isThreadGone ? "gone" : "running";
  }
  const [bootId] = holder.boot.split(" ");
  const [ownBootId] = self.boot.split(" ");
  // Another machine, or another container of this one.
  if (holder.host !== self.host || bootId === ownBootId) return "elsewhere";
  return "gone";
};

const inUse = (where: string, path: string, holder: Holder, state: "running" | "elsewhere"): ConfigError =>
  new ConfigError({
    where,
    must: "no other process may be working in the folder",
    got:
      state === "running"
        ? `process ${holder.pid}${holder.pid === process.pid ? ", this one" : ""}`
        : `process ${holder.pid} of ${holder.host}, which cannot be looked at from here`,
    hint: state === "running" ? "waiting for it, or ending it" : `removing ${path} if that has ended`,
  });

const readIfThere = (path: string): Promise<string | undefined> =>
  readRegularFile(path, { maxBytes: 4096 }).then(
    (bytes) => new TextDecoder().decode(bytes),
    (error: unknown) => {
      if (systemErrorCode(error) === "ENOENT") return undefined;
      throw error;
    },
  );

/** A lock that is held. */
export interface Lock {
  /** Whether another process has it by now, since somebody has removed it. */
  isTaken(): Promise<boolean>;
  /** Releases it. A second call does nothing. */
  release(): Promise<void>;
}

const besides = (path: string): string => join(dirname(path), temporaryName(basename(path)));

/** A file that names this process, open in this thread. */
interface HeldFile {
  /** Its content. */
  readonly text: string;
  /** Call it once: later the number is another file's. */
  close(): void;
}

const openNew = (path: string, self: Process): HeldFile => {
  // Not a FileHandle, which is closed when nobody refers to it any more.
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

/** Creates the file with all of its content at once. @returns undefined if it exists. */
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
    // The holder of the lock has removed it as a killed process's file.
    if (code === "EEXIST" || code === "ENOENT") return undefined;
    // Some file systems have no links.
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
 * Removes the lock that was `found` to have no holder. One process at a time removes: a late second one would remove the
 * lock that the first has taken by then.
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
    // Checked again: another thread of this process may have taken it with the same text, and a file of the same number.
    if ((await readIfThere(path)) === found && isGone(found, self)) await unlink(path);
  } finally {
    await unlink(guard).catch(() => undefined);
    held.close();
  }
};

/** Whether a file was a lock before it was truncated, or emptied by a power failure. */
const isBroken = (text: string): boolean => /^\0*$/u.test(text) || text.startsWith('{"pid"'.slice(0, text.length));

const lockOf = (path: string, { text, close }: HeldFile): Lock => {
  let released: Promise<void> | undefined;
  const release = async (): Promise<void> => {
    if ((await readIfThere(path).catch(() => undefined)) === text) await unlink(path).catch(() => undefined);
    // Not before: others remove a lock whose file is closed.
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
  /** Whether it is this process: another thread of it, perhaps. */
  readonly isOwn: boolean;
  /** Whether the process can be seen from here: it is of this machine and this container. */
  readonly isNear: boolean;
}

/** Who holds the lock `path`; null: nobody. Nothing is changed, and a lock that is not readable counts as none. */
export const lockHolder = async (path: string): Promise<LockHolder | null> => {
  const holder = parseHolder((await readIfThere(path).catch(() => undefined)) ?? "");
  if (holder === undefined) return null;
  const self = thisProcess();
  const state = stateOf(holder, self);
  if (state === "gone") return null;
  const isNear = state === "running";
  return { pid: holder.pid, isOwn: isNear && holder.pid === self.pid, isNear };
};

/** Number of attempts to read a lock that is not complete. */
const looks = 3;
/** Number of attempts while others take it over. */
const attempts = 100;

/**
 * Takes the lock `path`.
 * @param where the locked thing, for the error.
 * @throws ConfigError if another process holds it, or may hold it on another machine.
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
        must: `${basename(path)} must be a lock of foretoken`,
        got: "another file",
        hint: "another name for it",
      });
    } else if (attempt < looks) {
      await pause();
      continue;
    }
    await removeStale(path, found, self);
  }
  throw new ConfigError({
    where,
    must: "no other process may be working in the folder",
    got: "others that are about to",
    hint: "waiting for them",
  });
};
