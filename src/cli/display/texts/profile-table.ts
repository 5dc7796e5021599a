import type { KernelProfile } from "../../../backend/observers/profiled.ts";
import type { ProfileEvent } from "../../../runs/events.ts";
import type { Style } from "../../process/terminal.ts";
import { formatBytes, formatCount, formatPlural, formatSeconds } from "./format.ts";
import { columns, padLeft, padRight, wrapText } from "./width.ts";

/** FLOP/s for matrix products, bytes/s for other kernels. */
const rateText = ({ flops, bytes, seconds }: KernelProfile): string => {
  if (seconds === 0) return "";
  const [amount, unit] = flops > 0 ? [flops, "GFLOP/s"] : [bytes, "GB/s"];
  const rate = amount / seconds / 1e9;
  return `${rate < 9.95 ? rate.toFixed(1) : formatCount(rate)} ${unit}`;
};

interface Row {
  readonly name: string;
  readonly calls: string;
  readonly time: string;
  readonly share: string;
  readonly rate: string;
  readonly bytes: string;
}

const titles: Row = { name: "kernel", calls: "calls", time: "time", share: "share", rate: "rate", bytes: "bytes" };
/** Columns from left to right. A narrow terminal drops the columns at the right. */
const order = ["name", "time", "share", "calls", "rate", "bytes"] as const satisfies readonly (keyof Row)[];

const gap = "  ";

const shareText = (seconds: number, whole: number): string =>
  whole === 0 ? "" : `${((100 * seconds) / whole).toFixed(1)}%`;

/** Table of the time per kernel, with the time outside kernels in the last row. */
export const profileLines = (
  { kernels, seconds, step, timedSteps }: ProfileEvent,
  width: number,
  { colors }: Style,
): string[] => {
  const inKernels = kernels.reduce((sum, kernel) => sum + kernel.seconds, 0);
  const outside = Math.max(0, seconds - inKernels);
  const rows: readonly Row[] = [
    titles,
    ...kernels.map((kernel) => ({
      name: kernel.kernel,
      calls: formatCount(kernel.calls),
      time: formatSeconds(kernel.seconds),
      share: shareText(kernel.seconds, seconds),
      rate: rateText(kernel),
      bytes: formatBytes(kernel.bytes),
    })),
    {
      name: "outside kernels",
      calls: "",
      time: formatSeconds(outside),
      share: shareText(outside, seconds),
      rate: "",
      bytes: "",
    },
  ];
  const widths = order.map((name) => Math.max(...rows.map((row) => columns(row[name]))));
  const widthOf = (count: number): number =>
    widths.slice(0, count).reduce((sum, wide) => sum + wide + gap.length, -gap.length);
  let shown = order.length;
  while (shown > 2 && widthOf(shown) > width) shown--;
  const lines = rows.map((row) =>
    order
      .slice(0, shown)
      .map((name, i) => (i === 0 ? padRight(row[name], widths[i] ?? 0) : padLeft(row[name], widths[i] ?? 0)))
      .join(gap)
      .trimEnd(),
  );
  const [head = "", ...body] = lines;
  // In a resumed run, only the steps after the resume have times.
  const range = `${formatCount(step - timedSteps + 1)} to ${formatCount(step)}, since the run was resumed`;
  const since = timedSteps === step || timedSteps === 0 ? "" : ` (${range})`;
  const timed = `${formatPlural(timedSteps, "step")}${since}`;
  const headline = `Time by kernel: ${formatSeconds(seconds)} in total, for ${timed} with evaluations, samples and checkpoints:`;
  return [...wrapText(headline, width).map((line) => colors.bold(line)), colors.dim(head), ...body];
};
