import type { StepEvent } from "../../../runs/events.ts";
import { writeNotice, writeOut } from "../../process/output.ts";
import { plainStyle, printableName } from "../../process/terminal.ts";
import type { PastLosses } from "../drawing/past-losses.ts";
import { formatCount, formatDuration, formatLoss, formatRate } from "../texts/format.ts";
import { profileLines } from "../texts/profile-table.ts";
import { estimateLines, evalLines, type RunContext, startLines, summaryLines } from "../texts/run-text.ts";
import { sampleLines } from "../texts/sample-text.ts";
import { nonfiniteText, overfittingText } from "../texts/warning-text.ts";
import { activityAfter } from "./activity.ts";
import type { TrainReporter } from "./reporter.ts";
import { createRecord, now, type RunRecord, takeNote, takeSample, toldRun } from "./run-record.ts";

/** Wide enough for any line, because a pipe or a file has no width. */
const width = 400;
/** Maximum number of seconds between two lines. */
const longestSilence = 5;

/** Lines for a pipe or a file, without colours and without redrawing. */
export const plainReporter = (context: RunContext, past?: PastLosses): TrainReporter => {
  const style = plainStyle();
  const began = now();
  let record: RunRecord | undefined;
  let spokeAt = began;

  const say = (lines: readonly string[]): void => {
    writeOut(lines.map((line) => `${line}\n`).join(""));
    spokeAt = now();
  };

  const stepLine = (event: StepEvent, { start, pace }: RunRecord): string => {
    const { step, loss, teacherLoss, learningRate } = event;
    const { steps } = start.config.train;
    const left = step < steps ? pace.secondsLeft() : undefined;
    const activity = step < steps ? undefined : activityAfter(start, event, false);
    return [
      `step ${formatCount(step)}/${formatCount(steps)}`,
      `loss ${formatLoss(loss)}`,
      ...(teacherLoss === undefined ? [] : [`from teachers ${formatLoss(teacherLoss)}`]),
      `lr ${formatRate(learningRate)}`,
      `${formatCount(pace.tokensPerSecond() ?? 0)} tokens/s`,
      ...(left === undefined ? [] : [`${formatDuration(left)} left`]),
      ...(activity === undefined ? [] : [activity]),
    ].join("  ");
  };

  return {
    event(event) {
      if (event.type === "start") {
        record = createRecord(event, past);
        say(startLines(event, context, width, style));
      }
      if (record === undefined) return;
      const { steps } = record.start.config.train;
      const held = event.type === "step" ? takeSample(record) : undefined;
      if (held !== undefined) say(sampleLines(held, record.start, width, style));
      takeNote(record, event);
      switch (event.type) {
        case "step": {
          const isDue = event.step === record.start.step + 1 || event.step % Math.max(1, Math.round(steps / 20)) === 0;
          if (isDue || now() - spokeAt >= longestSilence) say([stepLine(event, record)]);
          break;
        }
        case "estimate":
          say(estimateLines(event, record.pace.tokensPerSecond(), width, style));
          break;
        case "eval":
          say(evalLines(event, steps, width, style));
          break;
        case "checkpoint":
          say([`step ${formatCount(event.step)}   checkpoint ${printableName(event.path, style.symbols.unicode)}`]);
          break;
        case "overfitting":
          say([overfittingText(event, record.start)]);
          break;
        case "nonfinite":
          say([nonfiniteText(event)]);
          break;
        case "profile":
          say(["", ...profileLines(event, width, style)]);
          break;
        case "done":
          say(["", ...summaryLines(toldRun(record, event, now() - began), context, width, style)]);
          break;
        case "start":
        case "sample":
          break;
      }
    },
    notice: writeNotice,
    interrupting: () => {},
    close: () => {},
  };
};
