import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { columns } from "#foretoken/cli/display/texts/width.js";
import { entryLines, noteLines } from "#foretoken/cli/help.js";
import { cli, workplace } from "../cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
let verbs: readonly string[];

const help = async (args: readonly string[], width: number, flag = "--help"): Promise<string> =>
  (await cli([...args, flag], { cwd, env: { COLUMNS: String(width) } })).stdout;

/** The full help pages of each command and of the program. */
const whole = (): readonly (readonly [args: readonly string[], flag: string])[] => [
  [[], "--help"],
  ...verbs.map((verb) => [[verb], verb === "train" ? "--help-all" : "--help"] as const),
];

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  const page = await help([], 80);
  const list = page.slice(page.indexOf("Commands:"), page.indexOf("Examples:"));
  verbs = [...list.matchAll(/^ {2}(\w+)/gmu)].map(([, verb]) => String(verb));
});

afterAll(() => remove());

test("the program's page lists its commands", () => {
  expect(verbs).toEqual(expect.arrayContaining(["train", "generate", "evaluate", "lesson", "runs", "info", "doctor"]));
});

/** The words of a page. */
const wordsOf = (page: string): readonly string[] => page.split(/\s+/u).filter((word) => word !== "" && word !== "\\");

describe.each([80, 60, 44])("at %i columns", (width) => {
  test("no help page has a line that is wider, or a broken word", async () => {
    for (const [args, flag] of [...whole(), [["train"], "--help"] as const]) {
      const [page, wide] = await Promise.all([help(args, width, flag), help(args, 100, flag)]);
      for (const line of page.split("\n")) expect(columns(line), line).toBeLessThanOrEqual(width);
      const known = new Set(wordsOf(wide));
      for (const word of wordsOf(page)) {
        // A remark in the line above an example begins with "#".
        if (word !== "#") expect(known, `${args.join(" ")}: ${word}`).toContain(word);
      }
    }
  });
});

/** The entries of a page, by group: each flag with its whole description. */
const groupsOf = (page: string): ReadonlyMap<string, readonly string[]> => {
  const groups = new Map<string, string[]>();
  let group: string[] = [];
  for (const line of page.slice(0, page.indexOf("Examples:")).split("\n")) {
    if (/^\S/u.test(line)) {
      group = [];
      groups.set(line, group);
    } else if (/^ {2}-/u.test(line)) group.push(line.trim());
    else if (line.trim() !== "") group.push(`${group.pop() ?? ""} ${line.trim()}`);
  }
  return new Map([...groups].filter(([, entries]) => entries.some((entry) => entry.startsWith("-"))));
};

test("every group of flags says what it is for, and every flag with a value what its default is", async () => {
  for (const [args, flag] of whole()) {
    const groups = groupsOf(await help(args, 100, flag));
    expect(groups.size).toBeGreaterThan(0);
    for (const [heading, entries] of groups) {
      expect(heading, args.join(" ")).toMatch(/^[A-Z][\w ]+: [a-z].{8,}$/u);
      for (const entry of entries) {
        if (/^(?:-\w, )?--[\w.-]+ </u.test(entry)) expect(entry, args.join(" ")).toMatch(/\bdefault: \S|unless given/u);
      }
    }
  }
});

test("a default of a field is that of the preset, with the others beside it", async () => {
  const page = await help(["train"], 100, "--help-all");
  const flags = [...groupsOf(page).values()].flat();
  const entry = (flag: string): string => flags.find((one) => one.startsWith(`${flag} `)) ?? "";
  expect(entry("--model.norm.eps")).toMatch(/\(default: 1e-6; 1e-5 with [a-z0-9 ,-]+\)/u);
  expect(entry("--model.position.scaling.factor")).toContain("(default: 8 with llama3)");
  expect(entry("--on-nonfinite")).toContain("(default: stop)");
  expect(entry("--model.position.kind")).toMatch(/\(default: rope; learned with [a-z0-9 ,]+\)/u);
  expect(entry("--steps")).toMatch(/\(default: derived from the size of --data, else [\d]+; [\d]+ with book/u);
});

describe("the short page of train", () => {
  test.each([80, 90, 100])("fits on a screen of 40 rows and %i columns", async (width) => {
    const lines = (await help(["train"], width)).trimEnd().split("\n");
    expect(lines.length).toBeLessThanOrEqual(40);
    for (const line of lines) expect(columns(line), line).toBeLessThanOrEqual(width);
  });

  test("has flags that there are, by group, and leads to all of them", async () => {
    const [short, all] = await Promise.all([help(["train"], 100), help(["train"], 100, "--help-all")]);
    const flagsOf = (page: string): string[] =>
      [...groupsOf(page).values()].flat().flatMap((entry) => /(?<=^(?:-\w, )?)--[\w.-]+/u.exec(entry)?.[0] ?? []);
    const known = flagsOf(all);
    expect(known).toEqual(expect.arrayContaining(flagsOf(short)));
    expect(flagsOf(short).length).toBeGreaterThan(18);
    expect(short).toContain(`--help-all        show all ${known.length} flags`);
    for (const heading of groupsOf(short).keys()) expect(heading).toMatch(/^[A-Z][\w ]+: [a-z].{8,}$/u);
    // Other commands have one page.
    expect(await cli(["runs", "--help-all"], { cwd })).toMatchObject({ status: 2, stdout: "" });
  });

  test("is asked for in any place of a command line", async () => {
    const page = await help(["train"], 80);
    const args = ["train", "--steps", "5", "--help-all"];
    expect(await help(["train", "--steps", "5"], 80)).toBe(page);
    expect(await cli(["help", "train"], { cwd, env: { COLUMNS: "80" } })).toMatchObject({ status: 0, stdout: page });
    expect((await cli(args, { cwd, env: { COLUMNS: "80" } })).stdout).toBe(await help(["train"], 80, "--help-all"));
  });
});

describe("the layout of a page", () => {
  test("puts descriptions beside their terms where there is room, else under them", () => {
    const entries = [
      ["--short", "what it does"],
      ["--a-flag-with-a-long-name <and|many|values>", "another thing"],
    ] as const;
    expect(entryLines(entries, 80)).toEqual([
      `  --short${" ".repeat(27)}what it does`,
      "  --a-flag-with-a-long-name <and|many|values>",
      `${" ".repeat(36)}another thing`,
    ]);
    expect(entryLines(entries, 40)).toEqual([
      ...["  --short", "      what it does", "  --a-flag-with-a-long-name", "    <and|many|values>"],
      "      another thing",
    ]);
  });

  test("aligns descriptions under wide names", () => {
    const [first = "", second = ""] = entryLines([["料理店", "x"] as const, ["notes", "x"] as const], 60);
    expect(columns(first)).toBe(columns(second));
  });

  test("keeps remarks beside their examples, or puts all of them above", () => {
    const notes = "Examples:\n  $ one two     first remark\n  $ one --flag value third\n\nA paragraph\nin two lines.";
    expect(noteLines(notes, 80)).toEqual([
      ...["Examples:", "  $ one two     first remark", "  $ one --flag value third", "", "A paragraph in two lines."],
    ]);
    expect(noteLines(notes, 24)).toEqual([
      ...["Examples:", "  # first remark", "  $ one two", "  $ one --flag value \\", "      third", ""],
      ...["A paragraph in two", "lines."],
    ]);
  });

  test("keeps the lines of JSON, and breaks those that do not fit", () => {
    const notes = 'The file:\n  { "a": 1,\n    "b": [1, 2] }\n\nMore.';
    expect(noteLines(notes, 80)).toEqual(["The file:", '  { "a": 1,', '    "b": [1, 2] }', "", "More."]);
    expect(noteLines(notes, 14)).toEqual(["The file:", '  { "a": 1,', '    "b": [1,', "    2] }", "", "More."]);
  });
});
