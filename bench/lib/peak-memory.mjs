import { readFileSync } from "node:fs";

/**
 * The most that this process has held in memory, in bytes. On Linux the kernel's own mark: `maxRSS` there begins with
 * the parent's at the time of the fork.
 */
export const peakMemory = () => {
  if (process.platform === "linux") {
    const mark = /^VmHWM:\s+(\d+) kB$/mu.exec(readFileSync("/proc/self/status", "utf8"));
    if (mark !== null) return 1024 * Number(mark[1]);
  }
  return 1024 * process.resourceUsage().maxRSS;
};
