/** Numbers of axes in words. Where they stand is computed by src/plot/ticks.ts, as for the charts of the terminal. */

/** 2e8, 250, 0.012, 3e−4: a value that is no amount, such as a loss or a learning rate. */
export const plainTickText = (value: number): string => {
  const size = Math.abs(value);
  if (size === 0) return "0";
  const rounded = Number(value.toPrecision(6));
  if (size >= 1e5) return rounded.toExponential().replace("e+", "e");
  return size < 1e-3 ? rounded.toExponential().replace("e-", "e−") : String(rounded);
};

/** 1.2 M, 250 K, 12: an amount, of tokens or steps, as short as its neighbours allow. */
export const tickText = (value: number): string => {
  const size = Math.abs(value);
  if (size >= 1e9) return `${Number((value / 1e9).toPrecision(6))} G`;
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(6))} M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(6))} K`;
  return plainTickText(value);
};

/** Seconds as 90 s, 5 min, 2 h. */
export const timeTickText = (seconds: number): string => {
  if (Math.abs(seconds) < 120) return `${Number(seconds.toPrecision(3))} s`;
  if (seconds < 7200) return `${Number((seconds / 60).toPrecision(3))} min`;
  return `${Number((seconds / 3600).toPrecision(3))} h`;
};
