import { readFileSync } from "node:fs";

/**
 * Peak memory of this process, in bytes. On Linux it reads the kernel's own mark, because `maxRSS` begins with the
 * parent's value at the fork.
 */
export const peakMemory = () => {
  if (process.platform === "linux") {
    const mark = /^VmHWM:\s+(\d+) kB$/mu.exec(readFileSync("/proc/self/status", "utf8"));
    if (mark !== null) return 1024 * Number(mark[1]);
  }
  return 1024 * process.resourceUsage().maxRSS;
};
