/** Numbers of axes in words. Where they stand is computed by src/plot/ticks.ts, as for the charts of the terminal. */

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
