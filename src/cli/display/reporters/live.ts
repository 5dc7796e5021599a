import type { TrainEvent } from "../../../runs/events.ts";
import { host } from "../../process/host.ts";
import { writeOut } from "../../process/output.ts";
import { checkSize, printableName, reflowIn, type Style, styleFor, terminalColumns } from "../../process/terminal.ts";
import { holdTerminal } from "../drawing/held-terminal.ts";
import { liveFrame } from "../drawing/live-frame.ts";
import { liveRegion } from "../drawing/live-region.ts";
import type { PastLosses } from "../drawing/past-losses.ts";
import { profileLines } from "../texts/profile-table.ts";
import { estimateLines, evalLines, type RunContext, startLines, summaryLines } from "../texts/run-text.ts";
import { sampleLines } from "../texts/sample-text.ts";
import { nonfiniteText, overfittingText } from "../texts/warning-text.ts";
import { wrapText } from "../texts/width.ts";
import { liveFigures } from "./live-figures.ts";
import type { TrainReporter } from "./reporter.ts";
import { createRecord, now, type RunRecord, takeNote, takeSample, toldRun } from "./run-record.ts";

const redrawMs = 100;
/**
 * Maximum columns of the display. More columns would not show more, and the display is redrawn up to ten times a
 * second.
 */
const widest = 500;

/** Wraps a warning to `width` columns. */
const warningLines = (line: string, width: number, { symbols, colors }: Style): readonly string[] =>
  wrapText(printableName(line, symbols.unicode), width).map((part) => colors.yellow(part));

/**
 * Display with figures and the loss curve. The display is redrawn in place at most ten times a second. Permanent lines
 * scroll above the display.
 */
export const liveReporter = (context: RunContext, past?: PastLosses): TrainReporter => {
  const { stdout } = host;
  const style = styleFor(stdout);
  // Leave the last column free, because some terminals wrap after the last column.
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
  const figures = liveFigures(past);
  let record: RunRecord | undefined;
  let closed = false;

  const draw = (): void => {
    if (record === undefined || closed) return;
    region.draw(liveFrame(figures.stateOf(record), width(), stdout.rows || 24, style));
  };

  const redraw = (): void => {
    checkSize(stdout);
    draw();
  };
  const timer = setInterval(redraw, redrawMs);
  timer.unref();
  const giveBack = holdTerminal(stdout, {
    resized: draw,
    resumed() {
      region.settle();
      draw();
    },
  });

  const close = (): void => {
    if (closed) return;
    closed = true;
    clearInterval(timer);
    giveBack();
  };

  const warn = (line: string): void => {
    checkSize(stdout);
    region.print(warningLines(line, width(), style));
  };

  const finish = (kept: RunRecord, event: Extract<TrainEvent, { type: "done" }>): void => {
    draw();
    region.settle();
    region.print(["", ...summaryLines(toldRun(kept, event, now() - began), context, width(), style)]);
    close();
  };

  return {
    event(event) {
      checkSize(stdout);
      if (event.type === "start") {
        record = createRecord(event, past);
        region.print([...startLines(event, context, width(), style), ""]);
      }
      if (record === undefined) return;
      const held = event.type === "step" ? takeSample(record) : undefined;
      if (held !== undefined) region.print(sampleLines(held, record.start, width(), style));
      takeNote(record, event);
      figures.take(event, record);
      switch (event.type) {
        case "start":
          draw();
          break;
        case "estimate":
          region.print([...estimateLines(event, record.pace.tokensPerSecond(), width(), style), ""]);
          break;
        case "eval":
          region.print(evalLines(event, record.start.config.train.steps, width(), style));
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
    interrupting: figures.interrupt,
    close,
  };
};
