import type { DoneEvent, EstimateEvent, EvalEvent, SampleEvent, StartEvent } from "../../../train/events.ts";
import type { MemoryEstimate } from "../../../train/prepare/memory.ts";
import { escapeText } from "../../flags.ts";
import { printable, printableName, type Style } from "../../terminal.ts";
import {
  flow,
  formatBytes,
  formatCount,
  formatDuration,
  formatLoss,
  formatPlural,
  formatSeconds,
  wrapText,
} from "./format.ts";
import { commandLine, withoutFlags } from "./shell.ts";

/** Facts about a run that the command line knows and its events do not. */
export interface RunContext {
  /** The words after `train`. */
  readonly args: readonly string[];
  /** Reason for the backend; undefined if the user named it. */
  readonly why: string | undefined;
}

const labelWidth = 11;

/** `label   parts · parts`, further lines indented below the first part. */
const row = (label: string, parts: readonly string[], width: number, { symbols, colors }: Style): string[] =>
  flow(parts, ` ${symbols.dot} `, width - labelWidth).map(
    (line, i) => (i === 0 ? colors.dim(label.padEnd(labelWidth)) : " ".repeat(labelWidth)) + line,
  );

/** The head of a run. */
export const startLines = (event: StartEvent, context: RunContext, width: number, style: Style): string[] => {
  const { config, vocabSize } = event;
  const { model, train } = config;
  const { times, approximately } = style.symbols;
  const batches = train.gradAccumSteps === 1 ? "" : `${train.gradAccumSteps} ${times} `;
  const tokens = train.gradAccumSteps * train.batchSize * model.contextLength;
  const untrained = Math.log(vocabSize);
  return [
    ...row(
      "text",
      [
        printableName(event.corpus, style.symbols.unicode),
        `${formatCount(event.trainTokens)} tokens to learn from`,
        `${formatCount(event.valTokens)} held out`,
        `${formatCount(vocabSize)} distinct`,
      ],
      width,
      style,
    ),
    ...row(
      "model",
      [
        `${formatCount(event.parameters)} parameters`,
        formatPlural(model.nLayer, "layer"),
        formatPlural(model.nHead, "head"),
        ...(model.nKvHead === undefined ? [] : [`${model.nKvHead} of keys and values`]),
        formatPlural(model.nEmbd, "channel"),
        `context ${model.contextLength}`,
      ],
      width,
      style,
    ),
    ...row(
      "backend",
      [
        `${event.backend} (${event.instructionSet})`,
        formatPlural(event.threads, "thread"),
        event.dtype,
        ...(context.why === undefined ? [] : [printableName(context.why, style.symbols.unicode)]),
      ],
      width,
      style,
    ),
    ...row(
      "plan",
      [
        ...(event.step === 0 ? [] : [`on from step ${formatCount(event.step)}`]),
        `${formatCount(train.steps)} steps of ${batches}${train.batchSize} ${times} ${model.contextLength} = ${formatCount(tokens)} tokens`,
        `untrained ${approximately} ln ${vocabSize} = ${untrained.toFixed(2)} nats/token`,
      ],
      width,
      style,
    ),
    ...row("memory", memoryParts(event.memory, event.availableMemory), width, style),
    ...(event.out === null ? [] : row("run", [printableName(event.out, style.symbols.unicode)], width, style)),
  ];
};

const memoryParts = (memory: MemoryEstimate, available: number | null): readonly string[] => {
  const { total, weights, gradients, moments, temporaries, saving, loading, text, reading, program } = memory;
  const parts = { weights, gradients, moments, temporaries, saving, loading, text, program };
  const told = Object.entries(parts).filter(([, bytes]) => bytes > 0);
  return [
    available === null ? formatBytes(total) : `${formatBytes(total)} of ${formatBytes(available)} free`,
    ...told.map(([name, bytes]) => `${name} ${formatBytes(bytes)}`),
    // Shown if it decides the total.
    ...(total === program + text + reading + loading && reading > 0 ? [`reading ${formatBytes(reading)}`] : []),
  ];
};

/** How long the run will take. */
export const estimateLines = (event: EstimateEvent, tokens: number, width: number, style: Style): string[] =>
  row(
    "time",
    [
      `${style.symbols.approximately} ${formatDuration(event.secondsLeft)} to the end`,
      `${formatSeconds(event.stepSeconds)} a step`,
      `${formatCount(tokens / event.stepSeconds)} tokens/s`,
      `by ${formatPlural(event.timedSteps, "step")}`,
    ],
    width,
    style,
  );

/** One evaluation in a line (or more on a narrow terminal). */
export const evalLines = (event: EvalEvent, steps: number, width: number, { symbols, colors }: Style): string[] => {
  const label = `step ${formatCount(event.step).padStart(formatCount(steps).length)}`;
  return flow(
    [
      colors.bold(label),
      `val ${colors.yellow(formatLoss(event.valLoss))}`,
      ...(event.trainLoss === null ? [] : [`train ${colors.cyan(formatLoss(event.trainLoss))} nats/token`]),
      `${formatLoss(event.bitsPerByte)} bits/byte`,
      ...(event.best ? [colors.green(`${symbols.star} best`)] : []),
    ],
    "   ",
    width,
    "  ",
  );
};

/** A sample, beside a rule; the prompt stands out. */
export const sampleLines = (event: SampleEvent, width: number, { symbols, colors }: Style): string[] => {
  const prompt = printable(event.prompt, symbols.unicode);
  const lines = wrapText(prompt + printable(event.text, symbols.unicode), Math.max(20, width - 2));
  const [first = "", ...rest] = lines;
  const shown = first.startsWith(prompt) ? colors.bold(prompt) + first.slice(prompt.length) : first;
  return [shown, ...rest].map((line) => `${colors.dim(symbols.rule)} ${line}`);
};

/** The last evaluation in all its units. */
const resultRows = (measured: EvalEvent, vocabSize: number, width: number, style: Style): string[] => [
  ...row(
    "validation",
    [
      style.colors.bold(`${formatLoss(measured.valLoss)} nats/token`),
      `${formatLoss(measured.natsPerCharacter)} nats/character`,
      `${formatLoss(measured.bitsPerByte)} bits/byte`,
      `perplexity ${measured.perplexity.toFixed(2)}`,
      `${formatCount(measured.tokens)} tokens, all that was held out`,
    ],
    width,
    style,
  ),
  ...row("untrained", [`${Math.log(vocabSize).toFixed(3)} nats/token (ln ${vocabSize})`], width, style),
];

const headline = (done: DoneEvent, start: StartEvent, seconds: number): string => {
  const { steps, patience } = start.config.train;
  const taken = formatDuration(seconds);
  switch (done.reason) {
    case "finished":
      return `Done: ${formatCount(done.step)} steps in ${taken}`;
    case "patience":
      return `Stopped at step ${formatCount(done.step)}, after ${taken}: ${patience} evaluations without a better loss`;
    case "interrupted":
      return `Interrupted at step ${formatCount(done.step)} of ${formatCount(steps)}, after ${taken}; saved`;
  }
};

/** Flags to leave out of the command for a longer run. */
const lengthFlags = ["--steps", "--train.steps", "--out", "--stop-at"];

interface NextCommand {
  readonly command: string;
  readonly purpose: string;
}

const nextCommands = (told: ToldRun, { args }: RunContext): readonly NextCommand[] => {
  const { start, done, sample, checkpoint } = told;
  const run = done.out;
  const next: NextCommand[] = [];
  if (run !== null && done.reason === "interrupted") {
    next.push({ command: commandLine(["train", "--resume", run]), purpose: "go on to the planned end" });
  }
  // The run's folder, not the checkpoint in it: so the commands take its best weights.
  if (run !== null && checkpoint !== undefined) {
    const prompt = sample === undefined ? [] : ["--prompt", escapeText(sample.prompt)];
    next.push({ command: commandLine(["generate", run, ...prompt]), purpose: "write more" });
    next.push({ command: commandLine(["evaluate", run]), purpose: "measure it again" });
  }
  if (done.reason === "finished" && !args.some((word) => word.startsWith("--resume"))) {
    const steps = String(3 * start.config.train.steps);
    const longer = ["train", ...withoutFlags(args, lengthFlags), "--steps", steps];
    next.push({ command: commandLine(longer), purpose: "train longer" });
  }
  return next;
};

/** Facts for the summary of a run. */
export interface ToldRun {
  readonly start: StartEvent;
  readonly done: DoneEvent;
  readonly measured: EvalEvent | undefined;
  readonly sample: SampleEvent | undefined;
  /** Directory of the last checkpoint; undefined if nothing was saved. */
  readonly checkpoint: string | undefined;
  readonly seconds: number;
}

/** The summary of a run: figures, a sample, and commands to try next. */
export const summaryLines = (told: ToldRun, context: RunContext, width: number, style: Style): string[] => {
  const { start, done, measured, sample } = told;
  const { colors } = style;
  const next = nextCommands(told, context);
  const { bestStep, bestValLoss, valLoss } = done;
  const better = bestStep < done.step && bestValLoss < valLoss;
  return [
    colors.bold(colors.green(headline(done, start, told.seconds))),
    ...(measured === undefined ? [] : resultRows(measured, start.vocabSize, width, style)),
    ...(better && done.out !== null
      ? row(
          "best",
          [
            `${formatLoss(bestValLoss)} nats/token at step ${formatCount(bestStep)}`,
            `kept in ${printableName(`${done.out}/best`, style.symbols.unicode)}`,
          ],
          width,
          style,
        )
      : []),
    ...(sample === undefined ? [] : ["", ...sampleLines(sample, width, style)]),
    ...(next.length === 0 ? [] : ["", "Next:"]),
    ...next.flatMap(({ command, purpose }) => {
      const line = `  ${colors.cyan(command)}`;
      const remark = `# ${purpose}`;
      return command.length + remark.length + 4 <= width
        ? [`${line}  ${colors.dim(remark)}`]
        : [`  ${colors.dim(remark)}`, line];
    }),
  ];
};
