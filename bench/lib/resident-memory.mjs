/** Finds from samples whether the memory of a process grows, and which part of the memory grows. */
import { readFileSync } from "node:fs";
import { getHeapStatistics } from "node:v8";

/**
 * Rise of the minimum, in the samples' unit: the minimum of the last quarter of the samples minus the minimum of the
 * first quarter. Garbage that is not yet collected increases single samples, but not the minimum. Leaked memory also
 * increases the minimum.
 * @param {readonly number[]} samples taken at equal intervals, at least four.
 */
export const floorRise = (samples) => {
  const quarter = Math.floor(samples.length / 4);
  return Math.min(...samples.slice(-quarter)) - Math.min(...samples.slice(0, quarter));
};

/** The path at the end of a mapping's line in /proc/self/smaps. Anonymous memory has an empty path. */
const header = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$/u;

/**
 * Resident bytes of this process, by purpose; null if the system does not report them.
 * - `used`: objects in the JavaScript engine's heap that are alive or not yet collected; `garbage`: all other pages of
 *   this heap;
 * - `malloc`: the main heap of the C library, with buffers and the memory of the engine's compiler;
 * - `anonymous`: other memory that is not mapped from a file, such as tensors, thread stacks, large buffers and machine
 * code;
 * - `files`: memory that is mapped from files, such as programs, libraries and their data.
 * @returns {Record<"used" | "garbage" | "malloc" | "anonymous" | "files", number> | null}
 */
export const residentByKind = () => {
  let text;
  try {
    text = readFileSync("/proc/self/smaps", "utf8");
  } catch {
    return null;
  }
  const { used_heap_size: used, total_physical_size: reserved } = getHeapStatistics();
  const kinds = { used, garbage: reserved - used, malloc: 0, anonymous: -reserved, files: 0 };
  /** @type {"malloc" | "anonymous" | "files"} */
  let kind = "anonymous";
  for (const line of text.split("\n")) {
    const path = header.exec(line)?.[1];
    if (path !== undefined)
      kind = path === "[heap]" ? "malloc" : path === "" || path.startsWith("[") ? "anonymous" : "files";
    const resident = /^Rss: +(\d+) kB$/u.exec(line)?.[1];
    if (resident !== undefined) kinds[kind] += Number(resident) * 1024;
  }
  return kinds;
};
