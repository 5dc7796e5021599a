/** Formats counts and times for people. */

/** As 1,000. */
export const formatCount = (count: number): string => Math.round(count).toLocaleString("en-US");

/** As "1 layer", "4 layers". */
export const formatPlural = (count: number, noun: string): string =>
  `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;

/** As 0:52, 12:05, 1:02:03. */
export const formatDuration = (seconds: number): string => {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number): string => String(n).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
};

/** Formats a short time, for example 22 ms or 1.4 s. */
export const formatSeconds = (seconds: number): string =>
  seconds < 0.9995 ? `${(1000 * seconds).toFixed(seconds < 0.00995 ? 1 : 0)} ms` : `${seconds.toFixed(1)} s`;
