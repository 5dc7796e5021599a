import type { Style } from "../../process/terminal.ts";
import { flow, formatCount, formatDuration, formatLoss, formatRate } from "../texts/format.ts";
import { columns } from "../texts/width.ts";
import type { CurvePoint } from "./canvas.ts";
import { lossCurve, shownSteps } from "./loss-curve.ts";

/** Content of the live display at one moment. */
export interface LiveState {
  readonly step: number;
  readonly steps: number;
  /** Loss of the newest step; undefined before the first step. */
  readonly loss: number | undefined;
  readonly smoothedLoss: number | undefined;
  readonly learningRate: number | undefined;
  readonly tokensPerSecond: number | undefined;
  readonly secondsLeft: number | undefined;
  /** Work between steps, such as "measuring". */
  readonly activity: string | undefined;
  readonly train: readonly CurvePoint[];
  readonly validation: readonly CurvePoint[];
}

/** Number of lines below the curve: for figures, for progress, and for the shell's prompt after the run. */
const otherLines = 8;
const tallestCurve = 12;

/** Progress without a bar. If the line would be too long, the time is also left out. */
const shortLine = ({ step, steps, secondsLeft }: LiveState, width: number, colors: Style["colors"]): string => {
  const place = `step ${formatCount(step)}/${formatCount(steps)}`;
  const time = secondsLeft === undefined ? "" : ` ${formatDuration(secondsLeft)} left`;
  const rest = columns(place) + columns(time) <= width ? time : "";
  return colors.bold(place) + rest;
};

const progressLine = (state: LiveState, width: number, { symbols, colors }: Style): string => {
  const { step, steps, secondsLeft } = state;
  const share = Math.min(1, step / Math.max(1, steps));
  const left = `step ${formatCount(step).padStart(formatCount(steps).length)}/${formatCount(steps)} `;
  const time = secondsLeft === undefined ? "" : ` ${symbols.dot} ${formatDuration(secondsLeft)} left`;
  const right = ` ${String(Math.floor(100 * share)).padStart(3)}%${time}`;
  const barWidth = Math.min(60, width - columns(left) - columns(right));
  if (barWidth < 6) return shortLine(state, width, colors);
  const full = Math.round(share * barWidth);
  const bar = colors.green(symbols.full.repeat(full)) + colors.dim(symbols.empty.repeat(barWidth - full));
  return colors.bold(left) + bar + right;
};

const figures = (state: LiveState, { symbols, colors }: Style): string[] => {
  const { loss, smoothedLoss, learningRate, tokensPerSecond, activity } = state;
  return [
    ...(smoothedLoss === undefined ? [] : [`loss ${colors.cyan(formatLoss(smoothedLoss))}`]),
    ...(loss === undefined ? [] : [`this step ${formatLoss(loss)}`]),
    ...(learningRate === undefined ? [] : [`lr ${formatRate(learningRate)}`]),
    ...(tokensPerSecond === undefined ? [] : [`${formatCount(tokensPerSecond)} tokens/s`]),
    ...(activity === undefined ? [] : [colors.yellow(activity + symbols.ellipsis)]),
  ];
};

/**
 * Lines of the display. Each line has at most `width` columns. The curve has at most `rows` minus `otherLines` lines.
 */
export const liveFrame = (state: LiveState, width: number, rows: number, style: Style): string[] => {
  const { train, validation, step, steps } = state;
  const curve = lossCurve(
    { train, validation, steps: shownSteps(step, steps) },
    { width, height: Math.min(tallestCurve, rows - otherLines) },
    style,
  );
  return [...curve, progressLine(state, width, style), ...flow(figures(state, style), ` ${style.symbols.dot} `, width)];
};
