import type { TrainEvent } from "../../../runs/events.ts";
import { writeOut } from "../../process/output.ts";
import { checkSize, printableName, reflowIn, styleFor, terminalColumns } from "../../process/terminal.ts";
import type { CurvePoint } from "../drawing/canvas.ts";
import { liveFrame } from "../drawing/live-frame.ts";
import { liveRegion } from "../drawing/live-region.ts";
import { lossHistory } from "../drawing/loss-history.ts";
import type { PastLosses } from "../drawing/past-losses.ts";
import { profileLines } from "../texts/profile-table.ts";
import { estimateLines, evalLines, type RunContext, sampleLines, startLines, summaryLines } from "../texts/run-text.ts";
import { nonfiniteText, overfittingText } from "../texts/warning-text.ts";
import { wrapText } from "../texts/width.ts";
import type { TrainReporter } from "./reporter.ts";
import { createRecord, now, type RunRecord, takeNote, takeSample, toldRun } from "./run-record.ts";

const redrawMs = 100;
/** Most columns of the display: more show nothing more, and all are redrawn ten times a second. */
const widest = 500;
/** Share of the smoothed loss that remains at each step. */
const smoothing = 0.95;

const hideCursor = "\u001b[?25l";
const showCursor = "\u001b[?25h";

/** Smoothed as Adam smooths: the first values weigh as much as they should. */
const smoother = () => {
  let sum = 0;
  let weight = 0;
  return (value: number): number => {
    sum = smoothing * sum + (1 - smoothing) * value;
    weight = smoothing * weight + (1 - smoothing);
    return sum / weight;
  };
};

/** Other work of a run after `step`, as far as it is known beforehand. */
const activityAfter = ({ start }: RunRecord, step: number, interrupted: boolean): string | undefined => {
  const { steps, evalInterval } = start.config.train;
  if (interrupted) return "saving";
  return step % evalInterval === 0 || step === steps ? "measuring on the held-out text" : undefined;
};

/** A display redrawn in place at most ten times a second: figures and the loss curve; lasting lines scroll above it. */
export const liveReporter = (context: RunContext, past?: PastLosses): TrainReporter => {
  const { stdout } = process;
  const style = styleFor(stdout);
  // One column less than the terminal's: a full last column makes some terminals wrap.
  const width = (): number => Math.max(20, Math.min(widest, terminalColumns(stdout) - 1));
  const region = liveRegion({
    get columns(): number {
      return terminalColumns(stdout);
    },
    get rows(): number {
      return stdout.rows || 24;
    },
    reflows: reflowIn(process.env).lines,
    write: writeOut,
  });
  const began = now();
  const smooth = smoother();
  const train = lossHistory();
  const validation: CurvePoint[] = [...(past?.validation ?? [])];
  let record: RunRecord | undefined;
  let step = 0;
  let loss: number | undefined;
  let smoothedLoss: number | undefined;
  let learningRate: number | undefined;
  let activity: string | undefined;
  let interrupted = false;
  let ended = false;
  let closed = false;

  const keepPoint = (event: TrainEvent): void => {
    if (event.type === "step") train.add(event.step, event.loss);
    if (event.type === "eval") validation.push({ step: event.step, loss: event.valLoss });
  };
  for (const point of past?.train ?? []) train.add(point.step, point.loss);

  const draw = (): void => {
    if (record === undefined || closed) return;
    const { pace, start } = record;
    const frame = liveFrame(
      {
        step,
        steps: start.config.train.steps,
        loss,
        smoothedLoss,
        learningRate,
        tokensPerSecond: pace.tokensPerSecond(),
        secondsLeft: ended ? undefined : pace.secondsLeft(),
        activity,
        train: train.points(),
        validation,
      },
      width(),
      stdout.rows || 24,
      style,
    );
    region.draw(frame);
  };

  const redraw = (): void => {
    checkSize(stdout);
    draw();
  };
  const timer = setInterval(redraw, redrawMs);
  timer.unref();
  // At once: the terminal has broken the lines of the old width.
  stdout.on("resize", draw);

  const restore = (): void => writeOut(showCursor);
  const suspend = (): void => {
    restore();
    process.kill(process.pid, "SIGSTOP");
  };
  const goOn = (): void => {
    region.settle();
    writeOut(hideCursor);
    draw();
  };
  process.on("exit", restore);
  if (process.platform !== "win32") process.on("SIGTSTP", suspend).on("SIGCONT", goOn);
  writeOut(hideCursor);

  const close = (): void => {
    if (closed) return;
    closed = true;
    clearInterval(timer);
    stdout.off("resize", draw);
    process.off("exit", restore).off("SIGTSTP", suspend).off("SIGCONT", goOn);
    restore();
  };

  const warn = (line: string): void => {
    checkSize(stdout);
    region.print(
      wrapText(printableName(line, style.symbols.unicode), width()).map((part) => style.colors.yellow(part)),
    );
  };

  const finish = (kept: RunRecord, event: Extract<TrainEvent, { type: "done" }>): void => {
    activity = undefined;
    ended = true;
    draw();
    region.settle();
    region.print(["", ...summaryLines(toldRun(kept, event, now() - began), context, width(), style)]);
    close();
  };

  return {
    event(event) {
      checkSize(stdout);
      if (event.type === "start") {
        record = createRecord(event);
        step = event.step;
        region.print([...startLines(event, context, width(), style), ""]);
      }
      if (record === undefined) return;
      const held = event.type === "step" ? takeSample(record) : undefined;
      if (held !== undefined) region.print(sampleLines(held, width(), style));
      takeNote(record, event);
      keepPoint(event);
      switch (event.type) {
        case "start":
          draw();
          break;
        case "step":
          ({ step, loss, learningRate } = event);
          smoothedLoss = smooth(event.loss);
          activity = activityAfter(record, step, interrupted);
          break;
        case "estimate":
          region.print([...estimateLines(event, record.tokensPerStep, width(), style), ""]);
          break;
        case "eval":
          activity = { begin: undefined, interval: undefined, end: "writing" }[event.reason];
          region.print(evalLines(event, record.start.config.train.steps, width(), style));
          break;
        case "checkpoint":
          activity = undefined;
          break;
        case "sample":
          activity = undefined;
          break;
        case "overfitting":
          warn(overfittingText(event, record.start));
          break;
        case "nonfinite":
          warn(nonfiniteText(event));
          break;
        case "profile":
          region.print([...profileLines(event, width(), style), ""]);
          break;
        case "done":
          finish(record, event);
          break;
      }
    },
    notice: warn,
    interrupting: () => {
      interrupted = true;
      activity = "finishing the step, then saving";
    },
    close,
  };
};
