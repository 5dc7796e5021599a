import { dirname } from "node:path";
import { averageWords } from "../../../config/average.ts";
import type { TrainConfig } from "../../../config/config.ts";
import { extensionParts, extensionWord } from "../../../config/extend.ts";
import { longerSteps, resumePurpose, stepsInVain } from "../../../config/longer-steps.ts";
import { isRecord } from "../../../core/checks/is-record.ts";
import { commandLine } from "../../../core/text/shell-word.ts";
import type { DoneEvent, EstimateEvent, EvalEvent, SampleEvent, StartEvent } from "../../../runs/events.ts";
import type { MemoryEstimate } from "../../../runs/memory-estimate.ts";
import { hasRisen } from "../../../runs/rise.ts";
import { rowsInWords } from "../../../runs/write/run-readme.ts";
import { escapeText } from "../../flags/flags.ts";
import { printableName, type Style } from "../../process/terminal.ts";
import type { InitialLoss } from "../drawing/past-losses.ts";
import { flow, formatBytes, formatCount, formatDuration, formatLoss, formatPlural, formatSeconds } from "./format.ts";
import { type NextCommand, nextLines, studioCommand } from "./next-commands.ts";
import { sampleLines } from "./sample-text.ts";
import { padRight, wrapText } from "./width.ts";

/** Facts about a run that are not in its events. */
export interface RunContext {
  /** Reason for the choice of the backend. Undefined if the user chose the backend. */
  readonly why: string | undefined;
}

const labelWidth = 11;

/** Formats `label   parts · parts`. Further lines are indented to the first part. */
const row = (label: string, parts: readonly string[], width: number, { symbols, colors }: Style): string[] =>
  flow(parts, ` ${symbols.dot} `, width - labelWidth).map(
    (line, i) => (i === 0 ? colors.dim(padRight(label, labelWidth)) : " ".repeat(labelWidth)) + line,
  );

/** Words for a number of passes, such as "12 passes over the text". */
const passesText = (passes: number, what: string): string =>
  `${passes < 10 ? passes.toFixed(1) : formatCount(Math.round(passes))} passes over the ${what}`;

/** Sizes of the text or of the documents. */
const sizeParts = ({ trainTokens, valTokens, documents }: StartEvent): readonly string[] => {
  if (documents === undefined)
    return [`${formatCount(trainTokens)} tokens to learn from`, `${formatCount(valTokens)} held out`];
  const { train, val, trainTargets, valTargets } = documents;
  const part = (count: number, what: string, tokens: number, targets: number): string =>
    `${formatPlural(count, "document")} ${what}: ${formatCount(tokens)} tokens, ${formatCount(targets)} in the loss`;
  return [part(train, "to learn from", trainTokens, trainTargets), part(val, "held out", valTokens, valTargets)];
};

/** Number of passes over the data in the planned steps. */
const planPasses = ({ config: { model, train }, trainTokens, documents }: StartEvent): string => {
  const rows = train.steps * train.gradAccumSteps * train.batchSize;
  return documents === undefined
    ? passesText((rows * model.contextLength) / trainTokens, "text")
    : passesText(rows / documents.rowsPerPass, "documents");
};

const valueAt = (config: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>((node, key) => (isRecord(node) ? node[key] : undefined), config);

/** The fields that were derived from the size of the text, without the fields that other rows show. */
const derivedParts = ({ config, derived }: StartEvent): readonly string[] => {
  const shown = {
    "model.dropout": "dropout",
    "train.learningRate": "learning rate",
    "train.evalInterval": "steps between evaluations",
    "train.patience": "patience",
  };
  const units: Readonly<Record<string, string>> = { "train.patience": " evaluations" };
  const groups = Object.entries({ "model.nLayer": "model", "train.steps": "steps", "train.batchSize": "batch" })
    .filter(([field]) => derived.includes(field))
    .map(([, name]) => name);
  return [
    ...(groups.length === 0 ? [] : [`${groups.join(", ")} follow${groups.length === 1 ? "s" : ""} from the text`]),
    ...Object.entries(shown)
      .filter(([field]) => derived.includes(field))
      .map(([field, name]) => `${name} ${String(valueAt(config, field))}${units[field] ?? ""}`),
    "each of these values has a flag (see --help-all)",
  ];
};

/** Warns about a warm-up that is longer than the run. */
const warmupParts = ({ steps, warmupSteps, learningRate, extensions = [] }: TrainConfig): readonly string[] => {
  if (steps >= warmupSteps || extensions.length > 0) return [];
  const risen = Number(((learningRate * steps) / warmupSteps).toPrecision(3));
  return [
    `${formatCount(warmupSteps)} steps, more than the run has`,
    `the learning rate rises only to ${risen}, not to ${learningRate}`,
    "to shorten it: --train.warmupSteps",
  ];
};

/** Lines at the start of a run: its text, model, plan and memory. */
export const startLines = (event: StartEvent, context: RunContext, width: number, style: Style): string[] => {
  const { config, vocabSize } = event;
  const { model, train } = config;
  const { times, approximately } = style.symbols;
  const batches = train.gradAccumSteps === 1 ? "" : `${train.gradAccumSteps} ${times} `;
  const tokens = train.gradAccumSteps * train.batchSize * model.contextLength;
  const untrained = Math.log(vocabSize);
  const extension = extensionParts(train);
  const warmup = warmupParts(train);
  return [
    ...row(
      "text",
      [
        printableName(event.corpus, style.symbols.unicode),
        ...sizeParts(event),
        config.tokenizer.kind === "char"
          ? formatPlural(vocabSize, "distinct character")
          : `a vocabulary of ${formatPlural(vocabSize, "token")}`,
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
        ...(model.nKvHead === undefined ? [] : [`${model.nKvHead} for keys and values`]),
        formatPlural(model.nEmbd, "channel"),
        `context ${model.contextLength}`,
      ],
      width,
      style,
    ),
    ...(event.initFrom === null
      ? []
      : row("weights", [`from ${printableName(event.initFrom, style.symbols.unicode)}`], width, style)),
    ...(event.teachers === undefined || train.teacher === undefined
      ? []
      : row(
          event.teachers.length === 1 ? "teacher" : "teachers",
          [
            ...event.teachers.map((teacher) => printableName(teacher, style.symbols.unicode)),
            `weight ${train.teacher.weight}`,
            `temperature ${train.teacher.temperature}`,
          ],
          width,
          style,
        )),
    ...(config.lora === undefined
      ? []
      : row(
          "adapters",
          [
            `${formatCount(event.adapterParameters ?? 0)} trained parameters`,
            `rank ${config.lora.rank}`,
            `alpha ${config.lora.alpha}`,
            config.lora.targets === undefined ? "on all linear layers" : `on ${config.lora.targets.join(", ")}`,
          ],
          width,
          style,
        )),
    ...row(
      "backend",
      [
        `${event.backend} (${event.instructionSet})`,
        event.ranks === undefined
          ? formatPlural(event.threads, "thread")
          : `${formatPlural(event.ranks, "rank")} ${times} ${formatPlural(event.threads, "thread")}`,
        event.dtype,
        ...(context.why === undefined ? [] : [printableName(context.why, style.symbols.unicode)]),
      ],
      width,
      style,
    ),
    ...row(
      "plan",
      [
        ...(event.step === 0 ? [] : [`resumes at step ${formatCount(event.step)}`]),
        `${formatCount(train.steps)} steps of ${batches}${train.batchSize} ${times} ${model.contextLength} = ${formatCount(tokens)} tokens${train.rows === undefined ? "" : " at most"}`,
        ...(train.rows === undefined ? [] : [`${train.rows}: ${rowsInWords[train.rows]}`]),
        ...(train.windows === "shuffled" ? ["each token once in a pass"] : []),
        ...averageWords(train),
        planPasses(event),
        ...(event.initFrom === null
          ? [`untrained ${approximately} ln ${vocabSize} = ${untrained.toFixed(2)} nats/token`]
          : []),
      ],
      width,
      style,
    ),
    ...(extension.length === 0 ? [] : row(extensionWord(train), extension, width, style)),
    ...(warmup.length === 0 ? [] : row("warm-up", warmup, width, style)),
    ...(event.derived.length === 0 ? [] : row("by size", derivedParts(event), width, style)),
    ...row("memory", memoryParts(event.memory, event.availableMemory), width, style),
    ...(event.out === null ? [] : row("run", [printableName(event.out, style.symbols.unicode)], width, style)),
  ];
};

const memoryParts = (memory: MemoryEstimate, available: number | null): readonly string[] => {
  const { total, weights, gradients, moments, averages, temporaries, saving, loading, text, reading, program } = memory;
  const parts = { weights, gradients, moments, averages, activations: temporaries, saving, loading, text, program };
  const told = Object.entries(parts).filter(([, bytes]) => bytes > 0);
  return [
    available === null ? formatBytes(total) : `${formatBytes(total)} of ${formatBytes(available)} free`,
    ...told.map(([name, bytes]) => `${name} ${formatBytes(bytes)}`),
    // Shown only if reading the text needs more memory than training.
    ...(total === program + text + reading + loading && reading > 0 ? [`reading ${formatBytes(reading)}`] : []),
  ];
};

/**
 * Estimated time of the run.
 * @param speed tokens per second, as in the lines of the steps. Padding tokens in rows of documents are not counted.
 */
export const estimateLines = (event: EstimateEvent, speed: number | undefined, width: number, style: Style): string[] =>
  row(
    "time",
    [
      `${style.symbols.approximately} ${formatDuration(event.secondsLeft)} to the end`,
      `${formatSeconds(event.stepSeconds)} a step`,
      ...(speed === undefined ? [] : [`${formatCount(speed)} tokens/s`]),
      `by ${formatPlural(event.timedSteps, "step")}`,
    ],
    width,
    style,
  );

/** An evaluation as one line, or as several lines on a narrow terminal. */
export const evalLines = (event: EvalEvent, steps: number, width: number, { symbols, colors }: Style): string[] => {
  const label = `step ${formatCount(event.step).padStart(formatCount(steps).length)}`;
  return flow(
    [
      colors.bold(label),
      `val ${colors.yellow(formatLoss(event.valLoss))}`,
      ...(event.trainLoss === null ? [] : [`train ${colors.cyan(formatLoss(event.trainLoss))} nats/token`]),
      `${formatLoss(event.bitsPerByte)} bits/byte`,
      ...(event.best ? [colors.green(`${symbols.star} best`)] : []),
      ...(event.averaged === undefined
        ? []
        : [
            `averaged ${colors.yellow(formatLoss(event.averaged.valLoss))}${event.averaged.best ? ` ${symbols.star}` : ""}`,
          ]),
    ],
    "   ",
    width,
    // Further lines are indented to the first figure.
    " ".repeat(label.length + 3),
  );
};

/** The last evaluation in all units. `step` is the last step of the run. */
const resultRows = (
  measured: EvalEvent,
  step: number,
  before: InitialLoss | undefined,
  start: StartEvent,
  width: number,
  style: Style,
): string[] => [
  ...row(
    "validation",
    [
      style.colors.bold(`${formatLoss(measured.valLoss)} nats/token`),
      ...(measured.step < step ? [`at step ${formatCount(measured.step)}, the last evaluation`] : []),
      `${formatLoss(measured.natsPerCharacter)} nats/character`,
      `${formatLoss(measured.bitsPerByte)} bits/byte`,
      `perplexity ${measured.perplexity.toFixed(2)}`,
      start.documents === undefined
        ? `${formatCount(measured.tokens)} tokens predicted, all of the validation text but the first`
        : `${formatCount(measured.tokens)} tokens, all tokens of the validation documents in the loss`,
    ],
    width,
    style,
  ),
  // Losses of other parts of the text do not compare, and the part may have changed when the run was resumed.
  ...(before === undefined || before.tokens !== measured.tokens
    ? // Initial weights from another model are already trained.
      start.initFrom !== null
      ? []
      : row("untrained", [`${Math.log(start.vocabSize).toFixed(3)} nats/token (ln ${start.vocabSize})`], width, style)
    : row(
        "before",
        [
          `${formatLoss(before.valLoss)} nats/token`,
          `${formatLoss(before.natsPerCharacter)} nats/character`,
          `${formatLoss(before.bitsPerByte)} bits/byte`,
        ],
        width,
        style,
      )),
];

const headline = (done: DoneEvent, start: StartEvent, seconds: number): string => {
  const { steps, patience } = start.config.train;
  const taken = formatDuration(seconds);
  switch (done.reason) {
    case "finished":
      return start.step === 0
        ? `Done: ${formatCount(done.step)} steps in ${taken}`
        : `Done: ${formatCount(done.step)} steps, the last ${formatCount(done.step - start.step)} in ${taken}`;
    case "patience":
      return `Stopped at step ${formatCount(done.step)}, after ${taken}: no better loss in ${patience} evaluations`;
    case "interrupted": {
      const saved = `saved${done.valLoss === null ? ", but not evaluated" : ""}`;
      return done.step >= steps
        ? `Stopped after ${taken}: all ${formatCount(steps)} steps are done; ${saved}`
        : `Stopped at step ${formatCount(done.step)} of ${formatCount(steps)}, after ${taken}; ${saved}`;
    }
  }
};

/** Whether the validation loss was rising at the end. If it was, more steps would not help. */
const isRising = ({ start, done, measured }: ToldRun): boolean =>
  measured !== undefined &&
  done.bestStep !== null &&
  done.bestValLoss !== null &&
  done.bestStep < done.step &&
  hasRisen(
    measured.valLoss,
    done.bestValLoss,
    Math.ceil((done.step - done.bestStep) / start.config.train.evalInterval),
  );

const nextCommands = (told: ToldRun, { why }: RunContext): readonly NextCommand[] => {
  const { start, done, sample, checkpoint } = told;
  const run = done.out;
  // Repeat the user's backend, because the last bits of the results depend on the backend.
  const backend = why === undefined ? ["--backend", start.backend] : [];
  const next: NextCommand[] = [];
  if (run !== null && done.reason === "interrupted") {
    const purpose = resumePurpose(done.step, start.config.train.steps);
    next.push({ command: commandLine(["train", "--resume", run, ...backend]), purpose });
  }
  // Name the run's folder, not its last checkpoint. The commands then load the best weights.
  if (run !== null && checkpoint !== undefined) {
    const prompt = sample === undefined ? [] : ["--prompt", escapeText(sample.prompt)];
    next.push(
      start.documents?.chat === true
        ? { command: commandLine(["chat", run]), purpose: "a conversation" }
        : { command: commandLine(["generate", run, ...prompt]), purpose: "write more" },
    );
    next.push(
      done.valLoss === null
        ? {
            command: commandLine(["evaluate", run, "--weights", "last"]),
            purpose: `evaluate step ${formatCount(done.step)}`,
          }
        : { command: commandLine(["evaluate", run]), purpose: "evaluate the model again" },
    );
  }
  if (run !== null && checkpoint !== undefined && start.config.lora !== undefined && done.reason !== "interrupted") {
    next.push({ command: commandLine(["merge", run]), purpose: "merge the adapter into its model" });
    const other = commandLine(["export", run, "--format", "gguf"]);
    next.push({ command: other, purpose: "the merged model for llama.cpp and Ollama" });
  }
  const inVain = stepsInVain(start.config.train, done.step, done.bestStep) > 0;
  if (run !== null && done.reason === "finished" && !isRising(told) && !inVain) {
    const longer = [
      "train",
      "--resume",
      run,
      "--steps",
      String(longerSteps(start.config.train, done.step)),
      ...backend,
    ];
    next.push({ command: commandLine(longer), purpose: "train longer" });
  }
  if (run !== null && done.reason !== "interrupted") next.push(studioCommand(dirname(run)));
  return next;
};

/** Facts for the summary of a run. */
export interface ToldRun {
  readonly start: StartEvent;
  readonly done: DoneEvent;
  /** Loss of the initial weights. */
  readonly before: InitialLoss | undefined;
  readonly measured: EvalEvent | undefined;
  readonly sample: SampleEvent | undefined;
  /** Directory of the last checkpoint. Undefined if nothing was saved. */
  readonly checkpoint: string | undefined;
  /** Whether the weights of the best evaluation are in the run's folder. */
  readonly keepsBest: boolean;
  readonly seconds: number;
}

/** The best averaged weights, and their place; empty if none were evaluated. */
const averagedRows = ({ done: { bestAverage, out } }: ToldRun, width: number, style: Style): string[] => {
  if (bestAverage === undefined) return [];
  const found = `${formatLoss(bestAverage.valLoss)} nats/token at step ${formatCount(bestAverage.step)}`;
  const isFolder = out !== null && !["onCheckpoint", "onAdapter"].includes(out);
  const place = isFolder
    ? [
        `in ${printableName(`${out}/averaged`, style.symbols.unicode)}`,
        "other commands load it with --weights averaged",
      ]
    : [];
  return row("averaged", [found, ...place], width, style);
};

/** Summary of a run: figures, a sample, and commands to try next. */
export const summaryLines = (told: ToldRun, context: RunContext, width: number, style: Style): string[] => {
  const { start, done, measured, sample } = told;
  const { colors } = style;
  const { bestStep, bestValLoss } = done;
  return [
    ...wrapText(headline(done, start, told.seconds), width).map((line) => colors.bold(colors.green(line))),
    ...(measured === undefined ? [] : resultRows(measured, done.step, told.before, start, width, style)),
    ...(bestStep !== null && bestValLoss !== null && bestStep < done.step && done.out !== null
      ? row(
          "best",
          [
            `${formatLoss(bestValLoss)} nats/token at step ${formatCount(bestStep)}`,
            told.keepsBest
              ? `kept in ${printableName(`${done.out}/best`, style.symbols.unicode)}`
              : "the weights were deleted",
          ],
          width,
          style,
        )
      : []),
    ...averagedRows(told, width, style),
    ...(sample === undefined ? [] : ["", ...sampleLines(sample, start, width, style)]),
    ...nextLines(nextCommands(told, context), width, style),
  ];
};
