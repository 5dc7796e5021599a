/** Where an axis has its numbers: multiples of 1, 2 or 5. */
import type { Interval } from "./curve.ts";

/** About `wanted` round numbers in the interval, at least `least` apart. */
export const linearTicks = ([low, high]: Interval, wanted: number, least = 0): readonly number[] => {
  const rough = (high - low) / Math.max(1, wanted);
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(least, power * ([1, 2, 5, 10].find((factor) => factor * power >= rough * (1 - 1e-9)) ?? 10));
  const ticks: number[] = [];
  // By their number: sums of steps would drift.
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-12); i++)
    ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
};

/** 1, 2, 5, 10, …; where the interval has less than a decade, round numbers as on a linear axis. */
export const logTicks = ([low, high]: Interval, wanted: number): readonly number[] => {
  if (high / low < 8) return linearTicks([low, high], wanted);
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    const factors = Math.log10(high / low) > wanted / 2 ? [1] : [1, 2, 5];
    for (const factor of factors) {
      const tick = Number((factor * 10 ** power).toPrecision(12));
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  return ticks;
};

/** 1.2 M, 250 K, 0.012, 3e−4: as short as its neighbours allow. */
export const tickText = (value: number): string => {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e9) return `${Number((value / 1e9).toPrecision(6))} G`;
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(6))} M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(6))} K`;
  if (size < 1e-3) return value.toExponential().replace("e-", "e−");
  return String(Number(value.toPrecision(6)));
};

/** Seconds as 90 s, 5 min, 2 h. */
export const timeTickText = (seconds: number): string => {
  if (Math.abs(seconds) < 120) return `${Number(seconds.toPrecision(3))} s`;
  if (seconds < 7200) return `${Number((seconds / 60).toPrecision(3))} min`;
  return `${Number((seconds / 3600).toPrecision(3))} h`;
};
