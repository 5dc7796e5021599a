import { averageWords } from "../../config/average.ts";
import type { RunConfig, TrainConfig } from "../../config/config.ts";
import { extensionParts, extensionWord } from "../../config/extend.ts";
import { longerSteps, resumePurpose, stepsInVain } from "../../config/longer-steps.ts";
import { presetOf } from "../../config/preset-of.ts";
import { controls, oneLine } from "../../core/text/one-line.ts";
import { quoteWord } from "../../core/text/shell-word.ts";
import type { RowKind } from "../../data/rows.ts";
import type { ModelConfig } from "../../models/config.ts";
import { loraLayout } from "../../models/lora/layout.ts";
import { folderNames } from "../folder-names.ts";
import {
  bestAveraged,
  bestEval,
  isRising,
  type NotedDone,
  type NotedEval,
  type NotedEvent,
  type NotedStart,
} from "../noted-events.ts";

/** The events of a run so far, reduced to the facts on the page. */
export interface RunStory {
  start: NotedStart | undefined;
  step: number;
  readonly evals: NotedEval[];
  /** Whether there is a checkpoint. */
  saved: boolean;
  sampled: boolean;
  done: NotedDone | undefined;
}

export const newStory = (saved: boolean): RunStory => ({
  start: undefined,
  step: 0,
  evals: [],
  saved,
  sampled: false,
  done: undefined,
});

/** Adds an event to the story. */
export const goOn = (story: RunStory, event: NotedEvent): void => {
  if (event.type !== "start") story.step = event.step;
  switch (event.type) {
    case "start":
      // A resumed run sends some events again.
      story.start ??= event;
      break;
    case "eval":
      story.evals.push(event);
      break;
    case "sample":
      story.sampled = true;
      break;
    case "checkpoint":
      story.saved = true;
      break;
    case "done":
      story.done = event;
      break;
    case "step":
      break;
  }
};

/** Facts on the page that are not from events. */
export interface ReadmeSubject {
  readonly config: RunConfig;
  /** Name of the text. */
  readonly corpus: string;
  /** Prompt of the samples. */
  readonly prompt: string;
  /** Directory of the initial weights; undefined if the weights were drawn at random. */
  readonly initFrom?: string | undefined;
  /** Places of the models that the run learns from. Default: none. */
  readonly teachers?: readonly string[] | undefined;
  /** Number of checkpoints to keep, including the last checkpoint. */
  readonly keepLast: number;
  /** Whether the folder contains the text. Default: false. */
  readonly keptText?: boolean;
  /**
   * Step of the weights in `best/`. Null if `best/` has no weights. Default: the step of the best evaluation, if its
   * weights were kept.
   */
  readonly bestStep?: number | null | undefined;
  /** Names of folders with best weights that were set aside. Default: none. */
  readonly asides?: readonly string[];
}

const count = (value: number): string => Math.round(value).toLocaleString("en-US");
const plural = (value: number, noun: string): string => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
const loss = (value: number): string => value.toFixed(4);

const row = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;

/** Maximum number of rows in the table of losses. A longer list is thinned evenly. */
const mostRows = 20;

const shownEvals = (evals: readonly NotedEval[], best: NotedEval | undefined): readonly NotedEval[] => {
  if (evals.length <= mostRows) return evals;
  const last = evals.length - 1;
  const kept = new Set(Array.from({ length: mostRows }, (_, i) => Math.round((i * last) / (mostRows - 1))));
  return evals.filter((one, i) => kept.has(i) || one === best);
};

const lossesTable = (evals: readonly NotedEval[]): readonly string[] => {
  if (evals.length === 0) return ["No loss has been measured yet."];
  const best = bestEval(evals);
  // Only a run with train.average has this column.
  const also = (cell: (one: NotedEval) => string, one: NotedEval | undefined): readonly string[] =>
    evals.some(({ averaged }) => averaged !== undefined) ? [one === undefined ? "averaged" : cell(one)] : [];
  const averagedLoss = ({ averaged }: NotedEval): string => (averaged === undefined ? "" : loss(averaged.valLoss));
  const head = ["step", "validation", ...also(averagedLoss, undefined), "training", "bits/byte"];
  return [
    row([...head, ""]),
    `|${"---:|".repeat(head.length)}---|`,
    ...shownEvals(evals, best).map((one) => {
      const { step, valLoss, trainLoss, bitsPerByte } = one;
      const training = trainLoss === null ? "" : loss(trainLoss);
      const reasons = { begin: "before", interval: "", end: "" };
      const mark = one === best ? "best" : reasons[one.reason];
      return row([count(step), loss(valLoss), ...also(averagedLoss, one), training, loss(bitsPerByte), mark]);
    }),
  ];
};

/** How the run ended. (The page is never written between a run's last evaluation and the checkpoint after it.) */
const reasonOf = ({ evals, done }: RunStory, { steps }: TrainConfig): NotedDone["reason"] | undefined => {
  const last = evals.at(-1);
  return done?.reason ?? (last?.reason === "end" && last.step >= steps ? "finished" : undefined);
};

const state = (story: RunStory, train: TrainConfig): string => {
  const { steps, patience } = train;
  const so = `${count(story.step)} of ${count(steps)} steps`;
  switch (reasonOf(story, train)) {
    case "finished":
      return `finished: ${so}`;
    case "patience":
      return `ended after ${so}, because the last ${plural(patience, "evaluation")} did not lower the loss`;
    case "interrupted":
      return `stopped after ${so}`;
    case undefined:
      return `not finished: ${so} when this page was written`;
  }
};

/**
 * @param isWhole whether all weights are trained. If false, the model's context may be longer than the training
 * windows.
 */
const shape = ({ nLayer, nHead, nKvHead, nEmbd, contextLength }: ModelConfig, isWhole: boolean): string => {
  const heads =
    nKvHead === undefined ? plural(nHead, "head") : `${plural(nHead, "head")} (${nKvHead} for keys and values)`;
  const read = isWhole ? `context ${count(contextLength)}` : `trained in windows of ${plural(contextLength, "token")}`;
  return `${plural(nLayer, "layer")}, ${heads}, ${plural(nEmbd, "channel")}, ${read}`;
};

/** Describes how many documents a row has. */
export const rowsInWords: Readonly<Record<RowKind, string>> = {
  packed: "as many documents per row as fit",
  one: "one document per row",
};

const plan = ({ model, train }: RunConfig): string => {
  const { steps, batchSize, gradAccumSteps, optimizer, schedule, learningRate, seed, rows } = train;
  const windows = batchSize * gradAccumSteps;
  const tokens = `${count(windows)} × ${count(model.contextLength)} = ${count(windows * model.contextLength)} tokens`;
  return [
    rows === undefined
      ? `${plural(steps, "step")} of ${tokens}`
      : `${plural(steps, "step")} of at most ${tokens}, ${rowsInWords[rows]}`,
    `${optimizer.kind}, learning rate ${learningRate}, ${schedule.kind}`,
    ...(train.windows === "shuffled" ? ["each token once per epoch"] : []),
    ...averageWords(train),
    `seed ${seed}`,
  ].join("; ");
};

/**
 * Quotes a word of a command so that every shell accepts it. Line ends and tabs become the escapes that the command
 * accepts. Other control characters become escapes of POSIX shells, so that the page has no control characters.
 */
const quoted = (prompt: string): string => {
  const text = prompt.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\t", "\\t");
  if (text.search(controls) >= 0) return quoteWord(text);
  return /^[^"$`\\!%]*$/u.test(text) ? `"${text}"` : `'${text.replaceAll("'", "'\\''")}'`;
};

/** The last two names of a path. The other names are not shown, because they may be private. */
const endOf = (path: string): string => path.split(/[\\/]/u).slice(-2).join("/");

/** Describes the initial weights, and whether they are trained. */
const origin = (
  { model, lora }: RunConfig,
  initFrom: string | undefined,
): readonly (readonly [what: string, fact: string])[] => {
  if (initFrom === undefined) return [];
  const weights = `weights of ${oneLine(endOf(initFrom))}; \`run.json\` has their path and hash`;
  if (lora === undefined) return [["started from", weights]];
  const size = plural(loraLayout(model, lora).count, "parameter");
  return [["trained", `adapters (LoRA) of rank ${lora.rank}, ${size}, on the ${weights}`]];
};

/** Describes the text or documents, with their sizes. */
const textFact = (start: NotedStart | undefined, corpus: string, { tokenizer }: RunConfig): string => {
  if (start === undefined) return corpus;
  const { trainTokens, valTokens, vocabSize, documents } = start;
  const distinct = plural(vocabSize, tokenizer.kind === "char" ? "distinct character" : "distinct token");
  if (documents === undefined) {
    return `${corpus}: ${plural(trainTokens, "token")} to learn from, ${count(valTokens)} held out, ${distinct}`;
  }
  const part = (many: number, tokens: number, targets: number): string =>
    `${count(many)} of ${count(tokens)} tokens; the loss counts ${count(targets)}`;
  const { train, val, trainTargets, valTargets } = documents;
  return `${corpus}: to learn from ${part(train, trainTokens, trainTargets)}; held out ${part(val, valTokens, valTargets)}; ${distinct}`;
};

/** Describes the models that the run learns from. */
const teaching = (
  { train: { teacher } }: RunConfig,
  teachers: readonly string[] = [],
): readonly (readonly [what: string, fact: string])[] => {
  if (teacher === undefined || teachers.length === 0) return [];
  const names = teachers.map((place) => oneLine(endOf(place))).join(", ");
  const mix = `weight ${teacher.weight}, temperature ${teacher.temperature}`;
  return [["learned from", `the text and ${names} (${mix}); \`run.json\` has their paths and hashes`]];
};

const facts = (story: RunStory, { config, corpus, initFrom, teachers }: ReadmeSubject): readonly string[] => {
  const { start, evals } = story;
  const best = bestEval(evals);
  const averaged = bestAveraged(evals);
  const preset = presetOf(config);
  const extension = extensionParts(config.train);
  const told: readonly (readonly [what: string, fact: string])[] = [
    ["state", state(story, config.train)],
    ...(preset === null ? [] : ([["preset", preset]] as const)),
    [
      "model",
      `${start === undefined ? "" : `${plural(start.parameters, "parameter")}: `}${shape(config.model, config.lora === undefined)}`,
    ],
    ...origin(config, initFrom),
    ...teaching(config, teachers),
    [config.train.rows === undefined ? "text" : "documents", textFact(start, corpus, config)],
    ["plan", plan(config)],
    ...(extension.length === 0 ? [] : ([[extensionWord(config.train), extension.join("; ")]] as const)),
    ...(start === undefined
      ? []
      : ([
          ["started on", `backend ${start.backend} (${start.instructionSet}), ${config.train.dtype}`],
          ...(initFrom === undefined
            ? ([["untrained", `${loss(Math.log(start.vocabSize))} nats/token (ln ${start.vocabSize})`]] as const)
            : []),
        ] as const)),
    ...(best === undefined
      ? []
      : ([["best", `${loss(best.valLoss)} nats/token on held-out data, at step ${count(best.step)}`]] as const)),
    ...(averaged?.averaged === undefined
      ? []
      : ([
          [
            "best averaged",
            `${loss(averaged.averaged.valLoss)} nats/token on held-out data, at step ${count(averaged.step)}`,
          ],
        ] as const)),
  ];
  return [row(["", ""]), "|---|---|", ...told.map(([what, fact]) => row([what, fact]))];
};

/** Whether there are best weights. */
const hasBest = ({ evals }: RunStory, { bestStep }: ReadmeSubject): boolean => bestStep !== null && evals.length > 0;

/** Whether there are weights that can generate text. */
const hasWeights = (story: RunStory, subject: ReadmeSubject): boolean => story.saved || hasBest(story, subject);

const commands = (story: RunStory, subject: ReadmeSubject): readonly string[] => {
  const { prompt, config } = subject;
  const { saved } = story;
  const chats = story.start?.documents?.chat === true;
  const reason = reasonOf(story, config.train);
  const longer = `npx foretoken train --resume . --steps ${longerSteps(config.train, config.train.steps)}`;
  const inVain = stepsInVain(config.train, config.train.steps, bestEval(story.evals)?.step) > 0;
  const isOver = reason === "finished" || reason === "patience";
  const going = saved
    ? resumePurpose(story.step, config.train.steps)
    : "start again at step 0: no checkpoint is saved yet";
  return [
    ...(isOver ? [] : [`npx foretoken train --resume .                 # ${going}`]),
    ...(hasWeights(story, subject)
      ? [
          ...(chats
            ? ["npx foretoken chat .                           # a conversation"]
            : [
                `npx foretoken generate . --prompt ${quoted(prompt)}`,
                "npx foretoken generate . --interactive         # line by line",
              ]),
          `npx foretoken evaluate .                       # measure it${story.evals.length === 0 ? "" : " again"}`,
        ]
      : []),
    ...(reason === "finished" && !isRising(story.evals) && !inVain
      ? [`${longer.padEnd(46)} # train longer, to this total number of steps`]
      : []),
    // Without this flag the commands use the best weights.
    ...(saved && hasBest(story, subject)
      ? [
          `npx foretoken ${chats ? "chat ." : `generate . --prompt ${quoted(prompt)}`} --weights last  # the last weights, not the best`,
        ]
      : []),
  ];
};

/** The format of a checkpoint. */
const formOf = ({ lora }: RunConfig): string =>
  lora === undefined ? "a Hugging Face directory" : "adapters in PEFT's format";

/**
 * Describes the weights in `best/`. If the weights of the best evaluation were deleted, `best/` contains other weights.
 */
const bestWeights = ({ evals }: RunStory, { bestStep }: ReadmeSubject): string =>
  typeof bestStep !== "number" || bestStep === bestEval(evals)?.step
    ? "the weights with the lowest validation loss"
    : `the best weights that are left, of step ${count(bestStep)}`;

const files = (story: RunStory, subject: ReadmeSubject): readonly string[] => {
  const { config, keepLast, keptText = false, asides = [] } = subject;
  return [
    row(["file", "contents"]),
    "|---|---|",
    row(["`run.json`", "the configuration, and the text with its hash"]),
    ...(keptText
      ? [
          config.train.rows === undefined
            ? row(["`text.txt`", "the text, which was passed as a string"])
            : row(["`documents.jsonl`", "the documents, which were passed as a list"]),
        ]
      : []),
    row(["`metrics.jsonl`", "all events of the run, one JSON object per line"]),
    ...(story.sampled
      ? [row(["`samples.txt`", "the text that the model generated at each evaluation, after the prompt"])]
      : []),
    ...(story.saved
      ? [
          row(["`checkpoint/`", `the last state: ${formOf(config)}, and what is needed to resume:`]),
          row([
            "`checkpoint/optimizer.safetensors`",
            config.train.average === undefined ? "the optimizer's moments" : "the optimizer's moments, and the average",
          ]),
          row(["`checkpoint/trainer_state.json`", "the step and the losses since the last evaluation"]),
          row(["`checkpoint/manifest.json`", "the SHA-256 of each file in it"]),
          ...(keepLast > 1 ? [row(["`checkpoint-STEP/`", "earlier checkpoints; to go back, resume one of them"])] : []),
        ]
      : []),
    ...(hasBest(story, subject) ? [row(["`best/`", `${bestWeights(story, subject)}: ${formOf(config)}`])] : []),
    ...(bestAveraged(story.evals) === undefined
      ? []
      : [row(["`averaged/`", `the averaged weights with the lowest validation loss: ${formOf(config)}`])]),
    ...(config.lora === undefined
      ? []
      : [row(["`base/`", "a copy of the base model of the adapters, if copying was possible"])]),
    ...asides.map((name) =>
      row([
        `\`${name}/\``,
        "best weights from a later step or another plan; kept until the run reaches that step again",
      ]),
    ),
    ...(config.train.onNonfinite === "rollback" && story.step >= config.train.checkpointInterval
      ? [row(["`rollback/`", "the run rolls back to this state after a step that is not finite or that explodes"])]
      : []),
  ];
};

/** Python code that loads the same weights as the commands. */
const python = (story: RunStory, subject: ReadmeSubject): string => {
  const { lora } = subject.config;
  const folder = hasBest(story, subject) ? folderNames.best : folderNames.checkpoint;
  if (lora !== undefined) {
    return `from peft import AutoPeftModelForCausalLM
model = AutoPeftModelForCausalLM.from_pretrained("${folder}")`;
  }
  return `from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained("${folder}")
tokenizer = AutoTokenizer.from_pretrained("${folder}")`;
};

/** Mark of a page that Foretoken may overwrite. */
export const readmeMark = "<!-- foretoken writes this page anew at every checkpoint, as long as this line is in it -->";

/** Makes the Markdown page that explains a run's folder, from the configuration and the events only. */
export const runReadme = (story: RunStory, given: ReadmeSubject): string => {
  const subject = { ...given, corpus: oneLine(given.corpus) };
  const sh = commands(story, subject);
  const { config } = subject;
  const packageName = config.lora === undefined ? "transformers" : "peft";
  return [
    `# A language model of ${subject.corpus}`,
    "",
    readmeMark,
    "",
    subject.config.train.rows === undefined
      ? "Foretoken trains this model to predict the next token of the text."
      : "Foretoken trains this model to predict the next token of the documents. In conversations, only the answers count in the loss.",
    "",
    ...facts(story, subject),
    "",
    "## Losses",
    "",
    `All losses are in nats per token${subject.config.train.rows === undefined ? "" : " that the loss counts"}. The validation loss is measured on the ${subject.config.train.rows === undefined ? "part of the text that was" : "documents that were"} held out. The training loss is the mean over the steps since the previous evaluation.`,
    "",
    ...lossesTable(story.evals),
    ...(sh.length === 0 ? [] : ["", "## Commands", "", "In this folder:", "", "```sh", ...sh, "```"]),
    ...(hasWeights(story, subject)
      ? ["", `In Python, with the package ${packageName}:`, "", "```python", python(story, subject), "```"]
      : []),
    "",
    "## Files",
    "",
    ...files(story, subject),
    "",
  ].join("\n");
};
