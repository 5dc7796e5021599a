import { readFileSync } from "node:fs";

/**
 * Peak memory of this process, in bytes. On Linux, the value is VmHWM from the kernel: `maxRSS` would include the peak
 * of the parent process.
 */
export const peakMemory = () => {
  if (process.platform === "linux") {
    const mark = /^VmHWM:\s+(\d+) kB$/mu.exec(readFileSync("/proc/self/status", "utf8"));
    if (mark !== null) return 1024 * Number(mark[1]);
  }
  return 1024 * process.resourceUsage().maxRSS;
};
