/** Memory that the system can still give this process, within the limits of its containers. */
import { closeSync, openSync, readSync } from "node:fs";
import { freemem } from "node:os";

export interface FreeMemory {
  /** Bytes that can be allocated without swapping. */
  readonly bytes: number;
  /** The limit of the container, if it is lower than the machine's; else null. */
  readonly container: number | null;
}

/** The contents of a small file; undefined if it cannot be read. */
export type ReadSmallFile = (path: string) => string | undefined;

/** More bytes than any of these files has. */
const maxBytes = 2 ** 18;

const close = (file: number | undefined): void => {
  if (file === undefined) return;
  try {
    closeSync(file);
  } catch {
    // It was only read.
  }
};

/** Files of /proc and /sys have no size: read until they end, or until there is too much. */
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

/** A file with one number; undefined for `max`, which is no limit, and where it is missing. */
const numberIn = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+\s*$/u.test(text) ? Number(text) : undefined;

/** The number after `key` in a file of lines. */
const fieldOf = (text: string | undefined, key: string): number =>
  Number(new RegExp(`^${key}:?[ \\t]+(\\d+)`, "mu").exec(text ?? "")?.[1] ?? 0);

/** A control group's limit, its use, and the part that the kernel reclaims under pressure. */
interface Group {
  readonly limit: number;
  readonly used: number;
  readonly reclaimable: number;
}

/** A limit above this is none: version 1 writes the largest multiple of a page. */
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

/** The folders from `path` up to the root of the tree. A container sees its own group as the root, whatever its path. */
const levels = (root: string, path: string): readonly string[] => {
  const names = path.split("/").filter((name) => name !== "" && name !== "..");
  return Array.from({ length: names.length + 1 }, (_, up) => [root, ...names.slice(0, names.length - up)].join("/"));
};

/** Every group with a limit that this process is in. */
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
 * Free memory by Linux's files: MemAvailable and, for each control group from the process's own up to the root, its limit
 * less its use that cannot be reclaimed; the least of these. Swap is not counted: training that swaps does not end.
 * @returns undefined without MemAvailable: another system.
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

/** Like `freeMemoryFrom`, for this process; on other systems than Linux, Node's figure. */
export const freeMemory = (): FreeMemory =>
  freeMemoryFrom(readSmallFile) ?? {
    // Node 20 has it from 20.13 on.
    bytes: typeof process.availableMemory === "function" ? process.availableMemory() : freemem(),
    container: null,
  };
