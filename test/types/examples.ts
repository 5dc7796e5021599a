/** The examples in docstrings. All of them compile, and the examples for Node are executed. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { train } from "#foretoken/train/train.node.js";
import { collect, smallRun, wordsText } from "../support/runs.ts";
import { checker, entries, exportsOf, options, parsed, root } from "./library.ts";

interface Example {
  readonly entry: string;
  readonly name: string;
  readonly code: string;
}

const examples: readonly Example[] = Object.entries(entries).flatMap(([entry, path]) =>
  exportsOf(path).flatMap((symbol) =>
    symbol
      .getJsDocTags(checker)
      .filter(({ name }) => name === "example")
      .map(({ text }) => /```ts\n([\s\S]*?)```/u.exec(ts.displayPartsToString(text))?.[1] ?? "")
      .filter((code) => code.includes(`from "${entry}"`))
      .map((code) => ({ entry, name: symbol.name, code })),
  ),
);

it("are there for what is called first", () => {
  for (const entry of Object.keys(entries)) {
    const named = examples.filter((example) => example.entry === entry).map(({ name }) => name);
    const shared = entry === "foretoken" ? ["generate"] : [];
    expect(named).toEqual(
      expect.arrayContaining([
        ...["train", "evaluate", "loadPretrained", "loadInWorker", "savePretrained", "openBackend"],
        ...shared,
      ]),
    );
  }
});

it("compile", () => {
  const file = ({ entry, name }: Example): string => join(root, "src", `${entry.replace("/", "-")}-${name}.mts`);
  const texts = new Map(examples.map((example) => [file(example), example.code]));
  const wrong = join(root, "src", "wrong.mts");
  texts.set(wrong, 'import { train } from "foretoken";\ntrain({ txt: "a" });\n');
  const paths = Object.fromEntries(Object.entries(entries).map(([name, path]) => [name, [path]]));
  const settings = { ...options, paths, noUnusedLocals: false };
  const host = ts.createCompilerHost(settings);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (name) => texts.has(name) || fileExists(name);
  host.readFile = (name) => texts.get(name) ?? readFile(name);
  host.getSourceFile = (name, language, ...rest) => {
    const text = texts.get(name);
    return text === undefined
      ? (parsed(name) ?? getSourceFile(name, language, ...rest))
      : ts.createSourceFile(name, text, language, true);
  };
  const program = ts.createProgram([...texts.keys()], settings, host);
  for (const name of texts.keys()) {
    const source = program.getSourceFile(name);
    const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
    const messages = found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
    if (name === wrong) expect(messages).toEqual([expect.stringContaining("'txt' does not exist")]);
    else expect(messages, name).toEqual([]);
  }
});

describe("in Node", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "foretoken-examples-"));
    await mkdir(join(folder, "node_modules"));
    await symlink(root, join(folder, "node_modules/foretoken"), "junction");
    const text = `${wordsText("examples", 300)}The end.`;
    await writeFile(join(folder, "notes.txt"), text);
    const config = { ...smallRun, train: { ...smallRun.train, steps: 2, evalInterval: 2 } };
    const run = join(folder, "runs/notes");
    const options = {
      data: join(folder, "notes.txt"),
      preset: "book",
      backend: "reference",
      finalSampleTokens: 0,
    } as const;
    await collect(train({ ...options, out: run, config }));
    const lora = { lora: { rank: 2 }, train: config.train };
    await collect(train({ ...options, out: join(folder, "runs/letters"), initFrom: run, config: lora }));
    for (const copy of ["a", "b"]) await cp(run, join(folder, "runs", copy), { recursive: true });
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("run as they are, but for the number of steps", async () => {
    const own = examples.filter(({ entry }) => entry === "foretoken");
    const names = own.map(({ name }) => `${name}.mjs`);
    for (const [index, { code }] of own.entries()) {
      const smaller =
        "{ model: { nLayer: 1, nHead: 2, nEmbd: 16, contextLength: 16 }, train: { steps: 2, batchSize: 2, sampleTokens: 0 } }";
      const short = code
        .replace("{ train: { steps: 500 } }", smaller)
        .replace('out: "runs/notes"', 'out: "runs/trained", finalSampleTokens: 0');
      const { outputText } = ts.transpileModule(short, {
        compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
      });
      await writeFile(join(folder, names[index] as string), outputText);
    }
    const all = names.map((name) => `console.log("# ${name}"); await import("./${name}");`).join("\n");
    await writeFile(join(folder, "all.mjs"), all);
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ["all.mjs"], { cwd: folder });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/step 2: \d+\.\d+ nats per token/u);
    for (const name of names) expect(stdout).toContain(`# ${name}`);
  });
});
