import { dirname } from "node:path";
import { longerSteps, resumePurpose, stepsInVain } from "../../../config/longer-steps.ts";
import { commandLine } from "../../../core/text/shell-word.ts";
import type { ListedRun, RunState } from "../../../runs/list/runs.node.ts";
import { printableName, type Style } from "../../process/terminal.ts";
import { flow, formatCount, formatLoss, formatShort } from "./format.ts";
import { type NextCommand, nextLines, studioCommand } from "./next-commands.ts";
import { columns, padLeft, padRight } from "./width.ts";

/** Local time, such as 2026-03-01 14:05. */
const formatTime = (iso: string): string => {
  const date = new Date(iso);
  const two = (n: number): string => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
};

/** The preset's name, or layers × channels, and the number of parameters. */
const modelText = ({ preset, config, parameters }: ListedRun, { symbols }: Style): string => {
  const { nLayer, nEmbd } = config.model;
  const shape = preset ?? `${nLayer}${symbols.times}${nEmbd}`;
  return parameters === null ? shape : `${shape} ${formatShort(parameters)}`;
};

/** How to show losses. */
interface LossDisplay {
  /** Whether to show bits per byte next to losses, because the losses of the runs cannot be compared. */
  readonly bitsPerByte: boolean;
}

const bitsText = ({ best }: ListedRun): string => (best === null ? "" : formatLoss(best.bitsPerByte));

const bestText = ({ best }: ListedRun): string =>
  best === null ? "" : `${formatLoss(best.valLoss)} at ${formatCount(best.step)}`;

const stateText: Readonly<Record<RunState, string>> = {
  finished: "finished",
  patience: "stopped early",
  interrupted: "stopped",
  failed: "failed",
  unfinished: "unfinished",
};

/** Paths of runs that a process trains now, known from the locks of the runs. */
export type UnderWay = ReadonlySet<string>;

const stateOf = ({ state, path }: ListedRun, underWay: UnderWay): string =>
  state === "unfinished" && underWay.has(path) ? "training" : stateText[state];

interface Column {
  readonly title: string;
  readonly alignRight?: true;
  readonly cell: (run: ListedRun) => string;
}

/** Users choose these names, so they may contain control characters. */
const pathOf = ({ path }: ListedRun, { symbols }: Style): string => printableName(path, symbols.unicode);
const corpusOf = ({ corpus }: ListedRun, { symbols }: Style): string => printableName(corpus, symbols.unicode);

const tableColumns = (style: Style, underWay: UnderWay, { bitsPerByte }: LossDisplay): readonly Column[] => [
  { title: "run", cell: (run) => pathOf(run, style) },
  { title: "begun", cell: ({ startedAt }) => formatTime(startedAt) },
  { title: "model", cell: (run) => modelText(run, style) },
  { title: "text", cell: (run) => corpusOf(run, style) },
  { title: "steps", alignRight: true, cell: ({ step, steps }) => `${formatCount(step)}/${formatCount(steps)}` },
  { title: "best loss", alignRight: true, cell: bestText },
  ...(bitsPerByte ? [{ title: "bits/byte", alignRight: true, cell: bitsText } as const] : []),
  { title: "state", cell: (run) => stateOf(run, underWay) },
];

const gap = "  ";

/** Table with one line per run. Undefined if the table does not fit into `width` columns. */
const tableLines = (
  runs: readonly ListedRun[],
  width: number,
  style: Style,
  underWay: UnderWay,
  losses: LossDisplay,
): string[] | undefined => {
  const { colors } = style;
  const shown = tableColumns(style, underWay, losses).map(({ title, alignRight, cell }) => {
    const cells = [title, ...runs.map(cell)];
    const wide = Math.max(...cells.map(columns));
    return cells.map((text) => (alignRight === true ? padLeft(text, wide) : padRight(text, wide)));
  });
  const rows = [undefined, ...runs].map((run, i) => ({
    run,
    line: shown
      .map((cells) => cells[i] ?? "")
      .join(gap)
      .trimEnd(),
  }));
  if (rows.some(({ line }) => columns(line) > width)) return undefined;
  return rows.map(({ run, line }) => (run === undefined ? colors.dim(line) : line));
};

/** Shows each run in two or more lines. A line has at most `width` columns, unless a single word is wider. */
const blockLines = (
  runs: readonly ListedRun[],
  width: number,
  style: Style,
  underWay: UnderWay,
  { bitsPerByte }: LossDisplay,
): string[] =>
  runs.flatMap((run) => {
    const { colors, symbols } = style;
    const { step, steps, best, startedAt } = run;
    const first = [
      ...(best === null ? [] : [`${colors.yellow(formatLoss(best.valLoss))} nats/token at ${formatCount(best.step)}`]),
      ...(best === null || !bitsPerByte ? [] : [`${bitsText(run)} bits/byte`]),
      `${formatCount(step)}/${formatCount(steps)} steps`,
      stateOf(run, underWay),
    ];
    const second = [formatTime(startedAt), modelText(run, style), corpusOf(run, style)];
    const separator = ` ${symbols.dot} `;
    return [
      colors.bold(pathOf(run, style)),
      ...[first, second].flatMap((parts) => flow(parts, separator, width - 2)).map((line) => `  ${line}`),
    ];
  });

/** Whether the losses of two runs can be compared: they have the same text and the same tokenizer. */
const compare = (one: ListedRun, other: ListedRun): boolean =>
  one.corpusSha256 === other.corpusSha256 &&
  one.config.tokenizer.kind === other.config.tokenizer.kind &&
  // If a run has recorded no event, this list has no tokenizer and no loss for the run.
  (one.vocabSize ?? other.vocabSize) === (other.vocabSize ?? one.vocabSize);

/** Groups the runs with comparable losses. Groups and runs keep their order. */
export const comparableRuns = (runs: readonly ListedRun[]): readonly (readonly ListedRun[])[] => {
  const groups: ListedRun[][] = [];
  for (const run of runs) {
    const group = groups.find((others) => others.every((other) => compare(run, other)));
    if (group === undefined) groups.push([run]);
    else group.push(run);
  }
  return groups;
};

/** The runs as a table, or as several lines per run if the table does not fit into `width` columns. */
export const runsLines = (
  runs: readonly ListedRun[],
  width: number,
  style: Style,
  underWay: UnderWay = new Set(),
): string[] => {
  const losses = { bitsPerByte: comparableRuns(runs).length > 1 };
  return tableLines(runs, width, style, underWay, losses) ?? blockLines(runs, width, style, underWay, losses);
};

/** Number of shown digits of a text's hash. These digits distinguish texts with the same name. */
const shownDigits = 8;

/**
 * The runs grouped by text and tokenizer. If there are several groups, each group has a heading. All groups have the
 * same layout: tables, or several lines per run.
 */
export const groupedLines = (
  groups: readonly (readonly ListedRun[])[],
  width: number,
  style: Style,
  underWay: UnderWay = new Set(),
): string[] => {
  const { colors, symbols } = style;
  const [only] = groups;
  if (groups.length === 1 && only !== undefined) return runsLines(only, width, style, underWay);
  const losses = { bitsPerByte: true };
  const tables = groups.map((runs) => tableLines(runs, width, style, underWay, losses));
  const fit = tables.every((table) => table !== undefined);
  return groups.flatMap((runs, i) => {
    const [first] = runs;
    if (first === undefined) return [];
    const vocabSize = runs.find((run) => run.vocabSize !== null)?.vocabSize;
    const about = [
      `text ${corpusOf(first, style)}`,
      `SHA-256 ${first.corpusSha256.slice(0, shownDigits)}`,
      `${first.config.tokenizer.kind} tokenizer`,
      ...(vocabSize === null || vocabSize === undefined ? [] : [`${formatCount(vocabSize)} tokens`]),
      "losses compare",
    ];
    const head = flow(about, ` ${symbols.dot} `, width).map((line) => colors.bold(line));
    return [
      ...(i === 0 ? [] : [""]),
      ...head,
      ...((fit ? tables[i] : undefined) ?? blockLines(runs, width, style, underWay, losses)),
    ];
  });
};

/** Whether a finished run would gain little from more steps. */
const isSpent = ({ rising, config, step, best }: ListedRun): boolean =>
  rising || stepsInVain(config.train, step, best?.step) > 0;

/** Commands that resume runs: the newest runs that can continue. */
const nextCommands = (runs: readonly ListedRun[]): readonly NextCommand[] => {
  const newest = (state: RunState): ListedRun | undefined =>
    runs.find((run) => run.state === state && run.checkpoint !== null && !(state === "finished" && isSpent(run)));
  const interrupted = newest("interrupted");
  const finished = newest("finished");
  return [
    ...(interrupted === undefined
      ? []
      : [
          {
            command: commandLine(["train", "--resume", interrupted.path]),
            purpose: resumePurpose(interrupted.step, interrupted.steps),
          },
        ]),
    ...(finished === undefined
      ? []
      : [
          {
            command: commandLine([
              ...["train", "--resume", finished.path],
              ...["--steps", String(longerSteps(finished.config.train, finished.steps))],
            ]),
            purpose: "train longer",
          },
        ]),
    ...runs.slice(0, 1).map(({ path }) => studioCommand(dirname(path))),
  ];
};

/** Commands to try next, or [] if no command applies. `runs` must be sorted newest first. */
export const runsNextLines = (runs: readonly ListedRun[], width: number, style: Style): readonly string[] =>
  nextLines(nextCommands(runs), width, style);
