import type { ListedRun, RunState } from "../../../train/folder/runs.node.ts";
import { printableName, type Style } from "../../terminal.ts";
import { columns, flow, formatCount, formatLoss, formatShort } from "./format.ts";

/** As 2026-03-01 14:05, in local time. */
const formatTime = (iso: string): string => {
  const date = new Date(iso);
  const two = (n: number): string => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
};

/** The preset's name, else layers and channels; and the number of parameters. */
const modelText = ({ preset, config, parameters }: ListedRun, { symbols }: Style): string => {
  const { nLayer, nEmbd } = config.model;
  const shape = preset ?? `${nLayer}${symbols.times}${nEmbd}`;
  return parameters === null ? shape : `${shape} ${formatShort(parameters)}`;
};

const bestText = ({ best }: ListedRun): string =>
  best === null ? "" : `${formatLoss(best.valLoss)} at ${formatCount(best.step)}`;

const stateText: Readonly<Record<RunState, string>> = {
  finished: "finished",
  patience: "out of patience",
  interrupted: "interrupted",
  unfinished: "unfinished",
};

interface Column {
  readonly title: string;
  readonly alignRight?: true;
  readonly cell: (run: ListedRun) => string;
}

/** Paths and texts have names that people chose. */
const pathOf = ({ path }: ListedRun, { symbols }: Style): string => printableName(path, symbols.unicode);
const corpusOf = ({ corpus }: ListedRun, { symbols }: Style): string => printableName(corpus, symbols.unicode);

const tableColumns = (style: Style): readonly Column[] => [
  { title: "run", cell: (run) => pathOf(run, style) },
  { title: "begun", cell: ({ startedAt }) => formatTime(startedAt) },
  { title: "model", cell: (run) => modelText(run, style) },
  { title: "text", cell: (run) => corpusOf(run, style) },
  { title: "steps", alignRight: true, cell: ({ step, steps }) => `${formatCount(step)}/${formatCount(steps)}` },
  { title: "best loss", alignRight: true, cell: bestText },
  { title: "state", cell: ({ state }) => stateText[state] },
];

const gap = "  ";

/** A line per run under a line of titles; undefined if that does not fit into `width` columns. */
const tableLines = (runs: readonly ListedRun[], width: number, style: Style): string[] | undefined => {
  const { colors } = style;
  const shown = tableColumns(style).map(({ title, alignRight, cell }) => {
    const cells = [title, ...runs.map(cell)];
    const wide = Math.max(...cells.map(columns));
    return cells.map((text) => {
      const space = " ".repeat(wide - columns(text));
      return alignRight === true ? space + text : text + space;
    });
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

/** Two or more lines per run, none wider than `width` as far as words allow. */
const blockLines = (runs: readonly ListedRun[], width: number, style: Style): string[] =>
  runs.flatMap((run) => {
    const { colors, symbols } = style;
    const { step, steps, best, state, startedAt } = run;
    const first = [
      ...(best === null ? [] : [`${colors.yellow(formatLoss(best.valLoss))} nats/token at ${formatCount(best.step)}`]),
      `${formatCount(step)}/${formatCount(steps)} steps`,
      stateText[state],
    ];
    const second = [formatTime(startedAt), modelText(run, style), corpusOf(run, style)];
    const separator = ` ${symbols.dot} `;
    return [
      colors.bold(pathOf(run, style)),
      ...[first, second].flatMap((parts) => flow(parts, separator, width - 2)).map((line) => `  ${line}`),
    ];
  });

/** The runs as lines of text: a table if it fits into `width` columns, else some lines for each. */
export const runsLines = (runs: readonly ListedRun[], width: number, style: Style): string[] =>
  tableLines(runs, width, style) ?? blockLines(runs, width, style);
