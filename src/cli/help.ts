import type { Command, Help, Option } from "commander";
import { wrapCommand } from "./display/texts/shell.ts";
import { columns, padRight, wrapText } from "./display/texts/width.ts";
import { host } from "./process/host.ts";
import { styleFor } from "./process/terminal.ts";

/** A name and what is said about it: a flag, a command, a part of a lesson. */
export type Entry = readonly [term: string, description: string];

/** Wider lines of prose are hard to read. */
const widest = 100;
const narrowest = 20;

/** Columns of a help page: of the terminal; in a pipe what COLUMNS says, as other programs take it, else 80. */
export const helpColumns = (): number => {
  const asked = host.stdout.columns ?? Number(process.env.COLUMNS ?? "");
  return Math.max(narrowest, Math.min(widest, asked > 0 ? asked : 80));
};

const margin = 2;
const gap = 2;
/** Of the width, for terms beside their descriptions. */
const termShare = 0.4;
/** Fewer columns beside the terms hold too few words: descriptions then go under them. */
const leastBeside = 26;
const indentUnder = 6;

const indented = (lines: readonly string[], by: number): string[] =>
  lines.map((line) => (line === "" ? "" : " ".repeat(by) + line));

/** Descriptions beside their terms, or under them where the page is narrow or the term is long. */
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

/** `  $ command   remark`: the remarks beside the commands if all of them fit, else above. */
const exampleLines = (lines: readonly string[], width: number): string[] => {
  if (lines.every((line) => columns(line) <= width)) return [...lines];
  return lines.flatMap((line) => {
    const [command = "", remark] = line.slice(exampleMark.length).split(/ {2,}/u);
    const remarks = remark === undefined ? [] : wrapText(remark, width - margin - 2).map((part) => `# ${part}`);
    const [first = "", ...rest] = wrapCommand(command, width - exampleMark.length);
    return [...indented(remarks, margin), exampleMark + first, ...indented(rest, exampleMark.length)];
  });
};

/** A line of a list: two spaces, a term, two spaces or more, a description. */
const listLine = /^ {2}(\S+) {2,}(\S.*)$/u;

/** A line of a file's contents, as JSON. */
const codeLine = /^ {2,}["{}[\]]/u;

type Block = "example" | "entry" | "code" | "prose";
const blockOf = (line: string): Block => {
  if (line.startsWith(exampleMark)) return "example";
  if (codeLine.test(line)) return "code";
  return listLine.test(line) ? "entry" : "prose";
};

/** Lines as they are, with spaces for indentation; a line that does not fit is broken. */
const codeLines = (lines: readonly string[], width: number): string[] =>
  lines.flatMap((line) => {
    if (columns(line) <= width) return [line];
    const margin = line.length - line.trimStart().length;
    return indented(wrapText(line.trimStart(), width - margin), margin);
  });

/**
 * Notes under a help page in lines of at most `width` columns. In them a line is an example (`  $ command   remark`), an
 * entry of a list (`  term   description`), JSON (`  { "a": 1 }`), which keeps its lines, blank, or a part of a paragraph, as a
 * heading is.
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

/** Notes for commander's `addHelpText`: laid out when they are shown, as `noteLines` says. */
export const notes = (text: string) => (): string => noteLines(text, helpColumns()).join("\n");

/** The default of a flag with a value; commander's own flags and switches have none. */
const defaultOf = ({ required, optional, defaultValue, defaultValueDescription }: Option): string => {
  if (!required && !optional) return "";
  const shown = defaultValueDescription ?? (defaultValue === undefined ? undefined : String(defaultValue));
  return shown === undefined ? "" : ` (default: ${shown})`;
};

/** Items by their group, in the order in which the groups begin. */
const byGroup = <Item>(items: readonly Item[], groupOf: (item: Item) => string): ReadonlyMap<string, Item[]> => {
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(groupOf(item), [...(groups.get(groupOf(item)) ?? []), item]);
  return groups;
};

/** A page with the flags that most people need, each with a few words. */
export interface ShortHelp {
  /** Flags by their heading. */
  readonly groups: Readonly<Record<string, readonly Entry[]>>;
  /** As of `notes`. */
  readonly notes: string;
}

const shortPages = new WeakMap<Command, ShortHelp>();

/** Makes `--help` of a command with many flags a short page; `--help-all` shows the whole one, with `text` under it. */
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

/** The groups of a short page. The last one gets the flag that leads to all. */
const shortGroups = ({ groups }: ShortHelp, flags: number): readonly (readonly [string, readonly Entry[]])[] => {
  const all: Entry = ["--help-all", `show all ${flags} flags, with their defaults and more examples`];
  return Object.entries(groups).map(([heading, entries], i, { length }) => [
    heading,
    i === length - 1 ? [...entries, all] : entries,
  ]);
};

/** A command's help page. Groups of flags have a line that says what they are for. */
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
