/**
 * Measures how often the machine itself delays a thread: another virtual machine or another process takes the core. On
 * a shared machine, a pass of 2 ms cannot be more regular than a loop of 2 ms that only counts.
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { median } from "../../lib/statistics.mjs";

/** A quantile: the smallest number that is not below the fraction `share` of the numbers. */
export const quantile = (numbers, share) => numbers.toSorted((a, b) => a - b)[Math.floor(share * (numbers.length - 1))];

const work = (/** @type {number} */ rounds) => {
  let x = 1;
  for (let i = 0; i < rounds; i++) x = Math.imul(x, 1_664_525) + 1_013_904_223;
  return x;
};

/** The times of equal loops, for `seconds`. Each loop takes about `milliseconds`. */
const timesOf = ({ milliseconds, seconds }) => {
  const timed = (/** @type {number} */ rounds) => {
    const began = performance.now();
    if (work(rounds) === 0.5) throw new Error("the loop must run");
    return performance.now() - began;
  };
  let rounds = 100_000;
  // The shortest of several times has no delay. The first loops are slower, because the code is not compiled yet.
  const shortest = () => Math.min(...Array.from({ length: 20 }, () => timed(rounds)));
  shortest();
  rounds = Math.max(1, Math.round((rounds * milliseconds) / shortest()));
  const times = [];
  const end = performance.now() + 1000 * seconds;
  while (performance.now() < end) times.push(timed(rounds));
  return times;
};

/**
 * The 99.9th percentile of the times of equal loops on all threads, and their median.
 * @param {{ milliseconds: number, threads: number, seconds: number }} options
 */
export const machineStalls = async ({ milliseconds, threads, seconds }) => {
  const all = await Promise.all(
    Array.from({ length: threads }, () => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { milliseconds, seconds } });
      return new Promise((resolve, reject) => {
        worker.once("message", resolve);
        worker.once("error", reject);
      });
    }),
  );
  const times = all.flat();
  return { middle: median(times), slow: quantile(times, 0.999) };
};

if (!isMainThread) parentPort?.postMessage(timesOf(workerData));
