/** Memory that the system can still give this process, within the limits of its containers. */
import { closeSync, openSync, readSync } from "node:fs";
import { freemem } from "node:os";

export interface FreeMemory {
  /** Bytes that can be allocated without swapping. */
  readonly bytes: number;
  /**
   * The container's limit in bytes, if less memory is left under this limit than on the machine. Null if the limit does
   * not matter.
   */
  readonly container: number | null;
}

/** Reads a small file. Undefined if the file cannot be read. */
export type ReadSmallFile = (path: string) => string | undefined;

/** Size of the buffer in bytes. All files that are read here are smaller. */
const maxBytes = 2 ** 18;

const close = (file: number | undefined): void => {
  if (file === undefined) return;
  try {
    closeSync(file);
  } catch {
    // An error from closing is ignored, because the file was only read.
  }
};

/** Files of /proc and /sys report no size. The loop therefore reads until the file ends or the buffer is full. */
const readSmallFile: ReadSmallFile = (path) => {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const bytes = new Uint8Array(maxBytes);
    let length = 0;
    while (length < maxBytes) {
      const read = readSync(file, bytes, length, maxBytes - length, null);
      if (read === 0) break;
      length += read;
    }
    return new TextDecoder().decode(bytes.subarray(0, length));
  } catch {
    return undefined;
  } finally {
    close(file);
  }
};

/** The number in a file. Undefined if the file is missing or contains `max`, which means no limit. */
const numberIn = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+\s*$/u.test(text) ? Number(text) : undefined;

/** The number after `key` in a file with one key per line. 0 if the key is missing. */
const fieldOf = (text: string | undefined, key: string): number =>
  Number(new RegExp(`^${key}:?[ \\t]+(\\d+)`, "mu").exec(text ?? "")?.[1] ?? 0);

/** A control group's limit and used memory, and the part of the used memory that the kernel can reclaim. */
interface Group {
  readonly limit: number;
  readonly used: number;
  readonly reclaimable: number;
}

/** A larger number means no limit: version 1 then writes the largest multiple of a page. */
const noLimit = 2 ** 60;

/** Control groups of version 2. */
const readUnified = (read: ReadSmallFile, folder: string): Group | undefined => {
  const limits = [numberIn(read(`${folder}/memory.max`)), numberIn(read(`${folder}/memory.high`))];
  const used = numberIn(read(`${folder}/memory.current`));
  const limit = Math.min(...limits.map((one) => one ?? Number.POSITIVE_INFINITY));
  if (used === undefined || !(limit < noLimit)) return undefined;
  const stat = read(`${folder}/memory.stat`);
  return { limit, used, reclaimable: fieldOf(stat, "inactive_file") + fieldOf(stat, "slab_reclaimable") };
};

/** Control groups of version 1. */
const readLegacy = (read: ReadSmallFile, folder: string): Group | undefined => {
  const limit = numberIn(read(`${folder}/memory.limit_in_bytes`));
  const used = numberIn(read(`${folder}/memory.usage_in_bytes`));
  if (limit === undefined || used === undefined || !(limit < noLimit)) return undefined;
  return { limit, used, reclaimable: fieldOf(read(`${folder}/memory.stat`), "total_inactive_file") };
};

/**
 * Folders from `path` up to the root of the tree. In a container, the root is the container's own group for any `path`.
 */
const levels = (root: string, path: string): readonly string[] => {
  const names = path.split("/").filter((name) => name !== "" && name !== "..");
  return Array.from({ length: names.length + 1 }, (_, up) => [root, ...names.slice(0, names.length - up)].join("/"));
};

/** Every control group with a limit that this process is in. */
const groupsOf = (read: ReadSmallFile): readonly Group[] => {
  const lines = (read("/proc/self/cgroup") ?? "").split("\n");
  return lines.flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/u.exec(line) ?? [];
    if (controllers === undefined || path === undefined) return [];
    const isUnified = controllers === "";
    if (!isUnified && !controllers.split(",").includes("memory")) return [];
    const roots = isUnified ? ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] : ["/sys/fs/cgroup/memory"];
    return roots
      .flatMap((root) => levels(root, path))
      .flatMap((folder) => (isUnified ? readUnified(read, folder) : readLegacy(read, folder)) ?? []);
  });
};

/**
 * Free memory in bytes, as Linux reports it in /proc and /sys. The result is the smallest of MemAvailable and the free
 * memory of each control group, from the process's own group up to the root. The free memory of a group is its limit
 * minus the used memory that cannot be reclaimed. Swap does not count: training that swaps would hardly progress.
 * @returns the number of bytes. Undefined on systems without MemAvailable, which are not Linux.
 */
export const freeMemoryFrom = (read: ReadSmallFile): FreeMemory | undefined => {
  const meminfo = read("/proc/meminfo");
  if (meminfo === undefined || !/^MemAvailable:/mu.test(meminfo)) return undefined;
  let least: FreeMemory = { bytes: 1024 * fieldOf(meminfo, "MemAvailable"), container: null };
  for (const { limit, used, reclaimable } of groupsOf(read)) {
    const bytes = Math.max(0, limit - Math.max(0, used - reclaimable));
    if (bytes < least.bytes) least = { bytes, container: limit };
  }
  return least;
};

/**
 * Free memory of this process in bytes, as in `freeMemoryFrom`. On systems other than Linux, it is the number that Node
 * reports.
 */
export const freeMemory = (): FreeMemory =>
  freeMemoryFrom(readSmallFile) ?? {
    // In Node 20, this function exists from version 20.13 on.
    bytes: typeof process.availableMemory === "function" ? process.availableMemory() : freemem(),
    container: null,
  };
