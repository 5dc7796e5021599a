/** Columns of the table of runs. Each column says how its values are shown, sorted and copied. */
import type { ComponentChildren } from "preact";
import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { compact, count, loss, moment } from "../parts/format.ts";
import { RunState } from "../parts/run-state.tsx";
import { stateWords } from "../parts/state-words.ts";
import { runAddress } from "../shell/address.ts";
import { Spark } from "./spark.tsx";

export interface RunColumn {
  readonly key: string;
  readonly label: string;
  /** Minimum width of the window in which the column is shown. */
  readonly room: "always" | "medium" | "wide";
  readonly numeric: boolean;
  readonly cell: (run: RunSummary) => ComponentChildren;
  /** Value by which rows are sorted. Rows with null come last. Undefined: the column cannot be sorted. */
  readonly order: ((run: RunSummary) => string | number | null) | undefined;
  /** Copied text, with all digits. */
  readonly text: (run: RunSummary) => string;
}

const Progress = ({ run: { step, steps } }: { readonly run: RunSummary }) => (
  <span class="progress-cell">
    <progress value={step} max={Math.max(1, steps)} aria-label={`${count(step)} of ${count(steps)} steps`} />
    <span>
      {count(step)} <span class="soft">/ {count(steps)}</span>
    </span>
  </span>
);

export const columns: readonly RunColumn[] = [
  {
    key: "name",
    label: "Run",
    room: "always",
    numeric: false,
    cell: ({ name, corpus }) => (
      <>
        <a class="run-name" href={runAddress(name)}>
          {name}
        </a>
        <span class="run-corpus soft">{corpus}</span>
      </>
    ),
    order: ({ name }) => name,
    text: ({ name }) => name,
  },
  {
    key: "state",
    label: "State",
    room: "always",
    numeric: false,
    cell: (run) => (
      <>
        <RunState run={run} />
        {/* Shows the steps in this cell if the window is too narrow for the column of steps. */}
        <span class="run-steps soft num">
          {count(run.step)} / {count(run.steps)}
        </span>
      </>
    ),
    order: (run) => stateWords(run).word,
    text: (run) => stateWords(run).word,
  },
  {
    key: "curve",
    label: "Loss",
    room: "wide",
    numeric: false,
    cell: (run) => <Spark run={run} />,
    order: undefined,
    text: () => "",
  },
  {
    key: "steps",
    label: "Steps",
    room: "medium",
    numeric: true,
    cell: (run) => <Progress run={run} />,
    order: ({ step }) => step,
    text: ({ step, steps }) => `${step}/${steps}`,
  },
  {
    // Loss per token is not comparable between tokenizers, so a narrow window shows another column instead.
    key: "valLoss",
    label: "Nats/token",
    room: "medium",
    numeric: true,
    cell: ({ best }) => loss(best?.valLoss),
    order: ({ best }) => best?.valLoss ?? null,
    text: ({ best }) => String(best?.valLoss ?? ""),
  },
  {
    key: "bitsPerByte",
    label: "Bits/byte",
    room: "always",
    numeric: true,
    cell: ({ best }) => loss(best?.bitsPerByte),
    order: ({ best }) => best?.bitsPerByte ?? null,
    text: ({ best }) => String(best?.bitsPerByte ?? ""),
  },
  {
    key: "parameters",
    label: "Parameters",
    room: "wide",
    numeric: true,
    cell: ({ parameters }) => (parameters === null ? "–" : compact(parameters)),
    order: ({ parameters }) => parameters,
    text: ({ parameters }) => String(parameters ?? ""),
  },
  {
    key: "updated",
    label: "Changed",
    room: "wide",
    numeric: true,
    cell: ({ updatedAt }) => <time dateTime={updatedAt}>{moment(updatedAt)}</time>,
    order: ({ updatedAt }) => updatedAt,
    text: ({ updatedAt }) => updatedAt,
  },
];

export interface Sorting {
  readonly key: string;
  readonly descending: boolean;
}

export const defaultSorting: Sorting = { key: "updated", descending: true };

const compare = (a: string | number | null, b: string | number | null, direction: number): number => {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  const less =
    typeof a === "string" && typeof b === "string"
      ? a.localeCompare(b, "en", { numeric: true })
      : Number(a) - Number(b);
  return less * direction;
};

export const sorted = (runs: readonly RunSummary[], { key, descending }: Sorting): readonly RunSummary[] => {
  const order = columns.find((column) => column.key === key)?.order;
  if (order === undefined) return runs;
  return runs.toSorted((a, b) => compare(order(a), order(b), descending ? -1 : 1));
};

/** Runs that match a filter. Every word of the filter must occur in the name, text, preset or state. */
export const filtered = (runs: readonly RunSummary[], filter: string): readonly RunSummary[] => {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return runs;
  return runs.filter((run) => {
    const text = `${run.name} ${run.corpus} ${run.preset ?? ""} ${stateWords(run).word}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
};

const safe = (text: string): string => text.replace(/[\t\r\n]+/g, " ");

/** Table for a spreadsheet. Each run has one line. Tabs separate the cells. */
export const tsvOf = (runs: readonly RunSummary[]): string => {
  const copied = columns.filter(({ key }) => key !== "curve");
  const lines = [copied.map(({ label }) => label), ...runs.map((run) => copied.map(({ text }) => safe(text(run))))];
  return lines.map((cells) => cells.join("\t")).join("\n");
};
