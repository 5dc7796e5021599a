import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, posix } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { anchorsOf, linksOf, pages, readPage, root } from "./support/pages.ts";

/** Folders that a command creates. A page shows the command next to the folder. */
const made = ["docs/api/"];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-readme-"));
  await mkdir(join(folder, "node_modules"));
  await symlink(root, join(folder, "node_modules/foretoken"), "junction");
});
afterAll(() => rm(folder, { recursive: true }));

test("the library's first lines run as the README has it, with a smaller model", async () => {
  const block = /```ts\n([\s\S]*?)```/.exec(await readPage("README.md"))?.[1] ?? "";
  const asPrinted = "{ train: { steps: 500 } }";
  expect(block).toContain(asPrinted);
  const smaller =
    "{ model: { nLayer: 1, nHead: 2, nEmbd: 16, contextLength: 16 }, train: { steps: 2, batchSize: 2, evalInterval: 2, sampleTokens: 0 } }";
  await writeFile(join(folder, "example.mjs"), block.replace(asPrinted, smaller));
  await writeFile(join(folder, "notes.txt"), "The quick brown fox jumps over the lazy dog. ".repeat(40));
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["example.mjs"], { cwd: folder });
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^step 2: \d+\.\d+ nats per token\n/);
  expect(stdout).toContain("bitsPerByte");
  expect(stdout).toMatch(/\[ 4, \d+ \]\n$/);
  const { v } = JSON.parse(
    (await readFile(join(folder, "runs/library/metrics.jsonl"), "utf8")).split("\n")[0] as string,
  );
  expect(v).toBe(1);
});

test("the blocks of docs/guides/going-on.md go on with a run, and begin one from its weights", async () => {
  const blocks = [...(await readPage("docs/guides/going-on.md")).matchAll(/```ts\n([\s\S]*?)```/g)].map(
    ([, code = ""]) => code,
  );
  expect(blocks).toHaveLength(2);
  const changes = [
    ["steps: 3000", "steps: 4"],
    ["steps: 500", "steps: 3"],
  ] as const;
  for (const [i, [asPrinted]] of changes.entries()) expect(blocks[i]).toContain(asPrinted);
  const [goOn, begin] = changes.map(([asPrinted, smaller], i) =>
    (blocks[i] ?? "").replace(asPrinted, smaller).replace("/* … */", "last = event;"),
  );
  const small =
    "{ model: { nLayer: 1, nHead: 2, nEmbd: 16, contextLength: 16 }, train: { steps: 2, batchSize: 2, evalInterval: 2, sampleTokens: 0 } }";
  const program = `import { train } from "foretoken";
    let last;
    for await (const event of train({ data: "letters.txt", out: "runs/notes", config: ${small} })) last = event;
    ${goOn}
    console.log(last.type, last.step);
    ${begin}
    console.log(last.type, last.step, last.out);`;
  await writeFile(join(folder, "going-on.mjs"), program);
  await writeFile(join(folder, "letters.txt"), "Dear reader, the quick brown fox sends its regards. ".repeat(60));
  await rm(join(folder, "runs"), { recursive: true, force: true });
  const { stdout } = await promisify(execFile)(process.execPath, ["going-on.mjs"], { cwd: folder });
  expect(stdout).toBe("done 4\ndone 3 runs/letters\n");
});

test("the block of docs/guides/averaging.md shows the losses of the weights and of their average", async () => {
  const block = /```ts\n([\s\S]*?)```/.exec(await readPage("docs/guides/averaging.md"))?.[1] ?? "";
  const asPrinted = "{ train: { steps: 500, average";
  expect(block).toContain(asPrinted);
  const small =
    "{ model: { nLayer: 1, nHead: 2, nEmbd: 16, contextLength: 16 }, train: { steps: 2, batchSize: 2, evalInterval: 1, sampleTokens: 0, average";
  const program = `import { train } from "foretoken";\n${block.replace(asPrinted, small)}`;
  await writeFile(join(folder, "averaging.mjs"), program);
  await writeFile(join(folder, "notes.txt"), "The quick brown fox jumps over the lazy dog. ".repeat(40));
  const { stdout } = await promisify(execFile)(process.execPath, ["averaging.mjs"], { cwd: folder });
  expect(stdout).toMatch(/^(?:[12] \d\.\d+ \d\.\d+\n){2}$/u);
});

test("the blocks of docs/guides/chat.md train a model that can talk and whose answers end", async () => {
  const section = (await readPage("docs/guides/chat.md")).split("## A toy model of your own")[1] ?? "";
  const blocks = [...section.matchAll(/```(?:json|jinja|sh)\n([\s\S]*?)```/g)].map(([, text = ""]) => text);
  const [conversations = "", template = "", config = "", commands = ""] = blocks;
  await writeFile(join(folder, "toy.jsonl"), conversations);
  await writeFile(join(folder, "toy.jinja"), template);
  await writeFile(join(folder, "toy.json"), config);
  const [command = ""] = commands.split("\n");
  expect(command).toContain(" --steps 300 ");
  const args = command.replace("--steps 300", "--steps 1").split(" ").slice(2);
  await promisify(execFile)(process.execPath, [join(root, "dist/cli/main.js"), ...args], { cwd: folder });
  const lm = await loadPretrained(join(folder, "runs/toy"), { backend: "reference" });
  expect(lm.chatTemplate?.template).toBe(template);
  expect(lm.endTokens.map((id) => lm.tokenizer.token(id))).toEqual(["<|endoftext|>"]);
  await lm.close();
});

test("the block of docs/guides/distilling.md learns from two runs", async () => {
  const [[, code = ""] = []] = (await readPage("docs/guides/distilling.md")).matchAll(/```ts\n([\s\S]*?)```/g);
  expect(code).toContain("steps: 500,");
  const small =
    "model: { nLayer: 1, nHead: 2, nEmbd: 16, contextLength: 16 }, train: { steps: 2, batchSize: 2, evalInterval: 2, sampleTokens: 0";
  const smaller = code
    .replaceAll(/runs\/(?=one|two|student)/gu, "distilled/")
    .replace("train: { steps: 500", small)
    .replaceAll("notes.txt", "distilled.txt");
  const begin = `import { train as begin } from "foretoken";
    for (const out of ["distilled/one", "distilled/two"])
      for await (const _ of begin({ data: "distilled.txt", out, config: { ${small} } } }));`;
  await writeFile(join(folder, "distilled.txt"), "The quick brown fox jumps over the lazy dog. ".repeat(40));
  await writeFile(join(folder, "distilled.mjs"), `${begin}\n${smaller}`);
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["distilled.mjs"], { cwd: folder });
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^(?:\d+\.\d+ \d\S*\n){2}$/u);
});

test("the blocks of docs/guides/many-texts.md write texts with a run", async () => {
  const blocks = [...(await readPage("docs/guides/many-texts.md")).matchAll(/```ts\n([\s\S]*?)```/g)];
  expect(blocks).toHaveLength(2);
  const small =
    "{ model: { nLayer: 1, nHead: 2, nEmbd: 16, contextLength: 16 }, train: { steps: 2, batchSize: 2, evalInterval: 2, sampleTokens: 0 } }";
  await writeFile(join(folder, "many.txt"), "The quick brown fox jumps over the lazy dog. ".repeat(40));
  const begin = `import { train } from "foretoken";
    for await (const _ of train({ data: "many.txt", out: "runs/many", config: ${small} }));`;
  const lines: string[][] = [];
  for (const [i, [, code = ""]] of blocks.entries()) {
    const program = `${i === 0 ? begin : ""}\n${code.replace("runs/notes/best", "runs/many/best").replaceAll("maxNewTokens: 50", "maxNewTokens: 3")}`;
    await writeFile(join(folder, `many-${i}.mjs`), program);
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [`many-${i}.mjs`], { cwd: folder });
    expect(stderr).toBe("");
    lines.push(stdout.trimEnd().split("\n"));
  }
  expect(lines[0]?.map((line) => line.split(" ")[0])).toEqual(["0", "1"]);
  expect(lines[1]?.join("")).toMatch(/^\[( *'.{3}',?){3} *\]$/u);
});

test.each([
  ["docs/guides/guessed-tokens.md", /\{ guessed: \d+, accepted: \d+ \}\n$/u],
  ["docs/guides/constrained-output.md", /^(yes|no) endOfText\n$/u],
  ["docs/guides/transformers-js.md", /'onnx\/model_quantized\.onnx': \d+\n\}\n$/u],
])("the first block of %s runs with a run", async (page, printed) => {
  const name = basename(page, ".md");
  const [[, code = ""] = []] = (await readPage(page)).matchAll(/```ts\n([\s\S]*?)```/g);
  const small =
    "{ model: { nLayer: 1, nHead: 2, nEmbd: 16, contextLength: 128 }, train: { steps: 2, batchSize: 2, evalInterval: 2, sampleTokens: 0 } }";
  await writeFile(join(folder, `${name}.txt`), "Is it so? The quick brown fox jumps over the lazy dog. ".repeat(40));
  const program = `import { train } from "foretoken";
    for await (const _ of train({ data: "${name}.txt", out: "runs/${name}", config: ${small} }));
    ${code.replace("runs/notes/best", `runs/${name}/best`).replace(" as const", "")}`;
  await writeFile(join(folder, `${name}.mjs`), program);
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [`${name}.mjs`], { cwd: folder });
  expect(stderr).toBe("");
  expect(stdout).toMatch(printed);
});

test("the block of docs/guides/constrained-output.md writes one of its choices", async () => {
  const [[, code = ""] = []] = (await readPage("docs/guides/constrained-output.md")).matchAll(/```ts\n([\s\S]*?)```/g);
  const small =
    "{ model: { nLayer: 1, nHead: 2, nEmbd: 16, contextLength: 64 }, train: { steps: 2, batchSize: 2, evalInterval: 2, sampleTokens: 0 } }";
  await writeFile(join(folder, "constrained.txt"), "Is it so? yes. Is it so? no. ".repeat(60));
  const program = `import { train } from "foretoken";
    for await (const _ of train({ data: "constrained.txt", out: "runs/constrained", config: ${small} }));
    ${code.replace("runs/notes/best", "runs/constrained/best").replace(" as const", "")}`;
  await writeFile(join(folder, "constrained.mjs"), program);
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["constrained.mjs"], { cwd: folder });
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^(?:yes|no) endOfText\n$/u);
});

describe.each(pages)("%s", (page) => {
  test("links to files and headings that are there", async () => {
    const text = await readPage(page);
    const dead = [];
    for (const { file, anchor } of linksOf(text)) {
      const path = file === "" ? page : posix.join(dirname(page), file);
      const there = existsSync(join(root, path));
      const isHeading = anchor === undefined || (there && anchorsOf(await readPage(path)).has(anchor));
      if (!there || !isHeading) dead.push(`${file}#${anchor ?? ""}`);
    }
    expect(dead).toEqual([]);
  });

  test("names files that are there", async () => {
    const named = [
      ...(await readPage(page)).matchAll(/`((?:src|native|scripts|test|docs|bench)\/[\w./-]*\w\/?|\.ci\/run)`/g),
    ].map(([, name]) => name as string);
    if (page === "docs/architecture.md") expect(named.length).toBeGreaterThan(100);
    expect(named.filter((name) => !made.includes(name) && !existsSync(join(root, name)))).toEqual([]);
  });
});

test("links and headings of a page are found", () => {
  const page = `# A \`run\`, and [why](b.md)\n[x](c.md#top) ![y](d.svg "Y") <img src="e.png"> [z](https://f.org) [w](#g) \`<a href="u.md">\`
\`\`\`sh\n# no heading [v](h.md)\n\`\`\`\n## Twice\n## Twice\n`;
  expect(linksOf(page).map(({ file, anchor }) => [file, anchor])).toEqual([
    ["b.md", undefined],
    ["c.md", "top"],
    ["d.svg", undefined],
    ["e.png", undefined],
    ["", "g"],
  ]);
  expect([...anchorsOf(page)]).toEqual(["a-run-and-why", "twice", "twice-1"]);
});

test("comments name files that are there", async () => {
  const files = await Promise.all(
    ["src", "native", "scripts"].map(async (top) =>
      (await readdir(join(root, top), { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile() && !entry.name.endsWith(".json"))
        .map((entry) => join(entry.parentPath, entry.name)),
    ),
  );
  const named = await Promise.all(
    files.flat().map(async (file) => {
      const text = await readFile(file, "utf8");
      // The pattern does not match a part of a longer path, such as the path of an import.
      const paths = /(?<![\w./-])(?:src|native|scripts|test|docs|bench)\/[\w./-]*\.(?:ts|mjs|py|cc|h|md|json)\b/g;
      return (text.match(paths) ?? []).map((name) => ({ file, name }));
    }),
  );
  expect(named.flat().length).toBeGreaterThan(10);
  expect(named.flat().filter(({ name }) => !existsSync(join(root, name)))).toEqual([]);
});
