import type { Command, Help, Option } from "commander";
import { wrapCommand } from "./display/texts/shell.ts";
import { columns, padRight, wrapText } from "./display/texts/width.ts";
import { host } from "./process/host.ts";
import { styleFor } from "./process/terminal.ts";

/** A term and its description: a flag, a command or a part of a lesson. */
export type Entry = readonly [term: string, description: string];

/** Maximum width: longer lines of prose are hard to read. */
const widest = 100;
const narrowest = 20;

/**
 * Columns of a help page: the width of the terminal. In a pipe, the environment variable COLUMNS gives the columns, as
 * in other programs. The default is 80.
 */
export const helpColumns = (): number => {
  const asked = host.stdout.columns ?? Number(process.env.COLUMNS ?? "");
  return Math.max(narrowest, Math.min(widest, asked > 0 ? asked : 80));
};

const margin = 2;
const gap = 2;
/** Maximum share of the width for terms that are next to their descriptions. */
const termShare = 0.4;
/** Minimum columns for descriptions next to terms. With fewer columns, descriptions are below the terms. */
const leastBeside = 26;
const indentUnder = 6;

const indented = (lines: readonly string[], by: number): string[] =>
  lines.map((line) => (line === "" ? "" : " ".repeat(by) + line));

/**
 * Formats terms and their descriptions. A description is next to its term. If the page is narrow or the term is long,
 * the description is below its term.
 */
export const entryLines = (entries: readonly Entry[], width: number): string[] => {
  const longest = Math.max(0, ...entries.map(([term]) => columns(term)));
  const termWidth = Math.min(longest, Math.floor(termShare * width));
  const beside = width - margin - termWidth - gap;
  return entries.flatMap(([term, description]) => {
    const terms = indented(wrapText(term, width - margin), margin).map((line, i) => (i === 0 ? line : `  ${line}`));
    if (beside < leastBeside) return [...terms, ...indented(wrapText(description, width - indentUnder), indentUnder)];
    const [first = "", ...rest] = indented(wrapText(description, beside), margin + termWidth + gap);
    if (columns(term) > termWidth) return [...terms, first, ...rest];
    return [
      (padRight(`${" ".repeat(margin)}${term}`, margin + termWidth + gap) + first.trimStart()).trimEnd(),
      ...rest,
    ];
  });
};

const exampleMark = "  $ ";

/**
 * Formats lines such as ` $ command remark`. Remarks are next to the commands if all remarks fit there. Otherwise they
 * are above the commands.
 */
const exampleLines = (lines: readonly string[], width: number): string[] => {
  if (lines.every((line) => columns(line) <= width)) return [...lines];
  return lines.flatMap((line) => {
    const [command = "", remark] = line.slice(exampleMark.length).split(/ {2,}/u);
    const remarks = remark === undefined ? [] : wrapText(remark, width - margin - 2).map((part) => `# ${part}`);
    const [first = "", ...rest] = wrapCommand(command, width - exampleMark.length);
    return [...indented(remarks, margin), exampleMark + first, ...indented(rest, exampleMark.length)];
  });
};

/** Line of a list: two spaces, a term, two or more spaces, a description. */
const listLine = /^ {2}(\S+) {2,}(\S.*)$/u;

/** Line of JSON. */
const codeLine = /^ {2,}["{}[\]]/u;

type Block = "example" | "entry" | "code" | "prose";
const blockOf = (line: string): Block => {
  if (line.startsWith(exampleMark)) return "example";
  if (codeLine.test(line)) return "code";
  return listLine.test(line) ? "entry" : "prose";
};

/** Keeps lines and their indentation; breaks a line only if it does not fit. */
const codeLines = (lines: readonly string[], width: number): string[] =>
  lines.flatMap((line) => {
    if (columns(line) <= width) return [line];
    const margin = line.length - line.trimStart().length;
    return indented(wrapText(line.trimStart(), width - margin), margin);
  });

/**
 * Formats the notes below a help page in lines of at most `width` columns. A line is an example (` $ command remark`),
 * a list entry (` term description`), JSON (` { "a": 1 }`, whose line ends are kept), blank, or part of a paragraph.
 * Headings are paragraphs, too.
 */
export const noteLines = (text: string, width: number): string[] => {
  const out: string[] = [];
  let block: string[] = [];
  const flush = (): void => {
    const [first] = block;
    if (first === undefined) return;
    const kind = blockOf(first);
    if (kind === "example") out.push(...exampleLines(block, width));
    else if (kind === "code") out.push(...codeLines(block, width));
    else if (kind === "prose") out.push(...wrapText(block.join(" "), width));
    else {
      const entries = block.map((line): Entry => [listLine.exec(line)?.[1] ?? "", listLine.exec(line)?.[2] ?? ""]);
      out.push(...entryLines(entries, width));
    }
    block = [];
  };
  for (const line of text.split("\n")) {
    const [first] = block;
    if (first !== undefined && blockOf(first) !== blockOf(line)) flush();
    if (line === "") {
      flush();
      out.push("");
    } else block.push(line);
  }
  flush();
  return out;
};

/** Notes for commander's `addHelpText`, formatted by `noteLines` when they are shown. */
export const notes = (text: string) => (): string => noteLines(text, helpColumns()).join("\n");

/** Default of a flag with a value; empty for switches and commander's own flags. */
const defaultOf = ({ required, optional, defaultValue, defaultValueDescription }: Option): string => {
  if (!required && !optional) return "";
  const shown = defaultValueDescription ?? (defaultValue === undefined ? undefined : String(defaultValue));
  return shown === undefined ? "" : ` (default: ${shown})`;
};

/** Groups items. The groups are in the order of their first items. */
const byGroup = <Item>(items: readonly Item[], groupOf: (item: Item) => string): ReadonlyMap<string, Item[]> => {
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(groupOf(item), [...(groups.get(groupOf(item)) ?? []), item]);
  return groups;
};

/** A short help page with the most used flags. */
export interface ShortHelp {
  /** Flags by heading. */
  readonly groups: Readonly<Record<string, readonly Entry[]>>;
  /** Text below the flags, as for `notes`. */
  readonly notes: string;
}

const shortPages = new WeakMap<Command, ShortHelp>();

/** Makes `--help` of a command show a short page; `--help-all` shows all flags, with `text` below them. */
export const addShortHelp = (command: Command, short: ShortHelp, text: string): void => {
  shortPages.set(command, short);
  command
    .option("--help-all", "show all flags, by group")
    .on("option:help-all", () => {
      shortPages.delete(command);
      command.help();
    })
    .addHelpText("after", () => notes(shortPages.get(command)?.notes ?? text)());
};

/** Groups of a short page. `--help-all` is added to the last group. */
const shortGroups = ({ groups }: ShortHelp, flags: number): readonly (readonly [string, readonly Entry[]])[] => {
  const all: Entry = ["--help-all", `show all ${flags} flags with their defaults, and more examples`];
  return Object.entries(groups).map(([heading, entries], i, { length }) => [
    heading,
    i === length - 1 ? [...entries, all] : entries,
  ]);
};

/** Formats a command's help page. The heading of each group says what its flags are for. */
export const helpPage = (command: Command, helper: Help): string => {
  const width = helpColumns();
  const { bold } = styleFor(host.stdout).colors;
  const section = (heading: string, entries: readonly Entry[]): string[] =>
    entries.length === 0
      ? []
      : ["", ...wrapText(heading, width).map((line) => bold(line)), ...entryLines(entries, width)];
  const options = helper.visibleOptions(command);
  const short = shortPages.get(command);
  const groups =
    short === undefined
      ? [...byGroup(options, ({ helpGroupHeading }) => helpGroupHeading ?? "Options:")].map(
          ([heading, group]) =>
            [heading, group.map((option): Entry => [option.flags, option.description + defaultOf(option)])] as const,
        )
      : shortGroups(short, options.length);
  return [
    ...wrapText(`${bold("Usage:")} ${helper.commandUsage(command)}`, width),
    "",
    ...wrapText(helper.commandDescription(command), width),
    ...section(
      "Arguments:",
      helper.visibleArguments(command).map((one) => [one.name(), one.description]),
    ),
    ...groups.flatMap(([heading, entries]) => section(heading, entries)),
    ...section(
      "Commands:",
      helper.visibleCommands(command).map((one) => [one.name(), one.summary()]),
    ),
    "",
  ].join("\n");
};
