/** Styles of curves: colours of the style sheet, each with its own dash pattern. */
import type { CurveStyle } from "./curve.ts";

export const trainingStyle: CurveStyle = { color: "--series-training", dash: [], width: 1.5, marks: false };
export const validationStyle: CurveStyle = { color: "--accent", dash: [], width: 2, marks: true };
export const plainStyle: CurveStyle = { color: "--series-training", dash: [], width: 1.5, marks: false };

const dashes: readonly (readonly number[])[] = [
  [],
  [7, 4],
  [2, 3],
  [10, 3, 2, 3],
  [14, 5],
  [4, 2],
  [1, 4],
  [8, 2, 2, 2, 2, 2],
];

/** Style of the n-th compared run. */
export const comparedStyle = (n: number, marks: boolean): CurveStyle => ({
  color: `--series-${(n % dashes.length) + 1}`,
  dash: dashes[n % dashes.length] ?? [],
  width: 2,
  marks,
});

const light: Readonly<Record<string, string>> = {
  "--series-training": "#6a6f73",
  "--accent": "#0b6b58",
  "--series-1": "#0b6b58",
  "--series-2": "#2456b5",
  "--series-3": "#b4400f",
  "--series-4": "#7a3e9d",
  "--series-5": "#66650a",
  "--series-6": "#b0246a",
  "--series-7": "#33383a",
  "--series-8": "#83562a",
};

/** Colour in the light theme. Saved files are always light. */
export const lightColor = (name: string): string => light[name] ?? "#191b1c";
