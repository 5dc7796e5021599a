import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { readPage } from "../support/pages.ts";
import { copyAdapter, modelWithText } from "../support/peft.ts";
import { cli, jsonLines, tinyWith, tree, workplace } from "./cli.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await modelWithText("llama3", join(cwd, "base"));
  const adapter = await copyAdapter("llama", join(cwd, "adapter"));
  const path = join(adapter, "adapter_config.json");
  const config = { ...JSON.parse(await readFile(path, "utf8")), base_model_name_or_path: "../base" };
  await writeFile(path, JSON.stringify(config));
  const run = await cli(["train", ...tinyWith("--out", "runs/notes")], { cwd });
  expect(run.status, run.stderr).toBe(0);
});
afterAll(() => remove());

const run = (...args: readonly string[]) => cli(["export", ...args], { cwd });
const generate = (...args: readonly string[]) =>
  cli(["generate", ...args, "--backend", "reference", "--max-new-tokens", "5", "--temperature", "0", "--json"], {
    cwd,
  });
const textOf = async (...args: readonly string[]): Promise<unknown> => {
  const { status, stdout, stderr } = await generate(...args);
  expect(status, stderr).toBe(0);
  return jsonLines(stdout).at(-1)?.text;
};

describe("export", () => {
  test("writes a run as a GGUF file and as a folder, which commands take", async () => {
    const file = await run("runs/notes", "--format", "gguf");
    expect({ status: file.status, stderr: file.stderr }).toEqual({ status: 0, stderr: "" });
    expect(file.stdout).toMatch(/^runs[/\\]notes-f32\.gguf: [\d,]+ parameters in f32, [\d.]+ KiB, \d+% of float32\n$/u);
    const folder = await run("runs/notes", "--format", "hf", "--out", "copies/notes", "--weights", "last", "--json");
    expect(jsonLines(folder.stdout)).toMatchObject([
      { path: "copies/notes", model: "runs/notes", format: "hf", dtype: "f32", adapter: null },
    ]);
    const prompt = ["--prompt", "The "];
    const expected = await textOf("runs/notes", ...prompt);
    expect(await textOf("runs/notes-f32.gguf", ...prompt)).toBe(expected);
    expect(await textOf("copies/notes", ...prompt)).toBe(await textOf("runs/notes", "--weights", "last", ...prompt));
  });

  test("writes a run as a folder of ONNX with one graph, which other commands name", async () => {
    const { stdout, status } = await run("runs/notes", "--format", "onnx", "--dtype", "int8");
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: expect.stringMatching(/^runs[/\\]notes-onnx: [\d,]+ parameters in int8, [\d.]+ KiB, \d+% of float32\n$/u),
    });
    const files = tree(join(cwd, "runs/notes-onnx"));
    expect(files.filter((path) => path.endsWith(".onnx"))).toEqual([join("onnx", "model_quantized.onnx")]);
    const { stderr } = await cli(["generate", "runs/notes-onnx", "--prompt", "The"], { cwd });
    expect(stderr).toContain("try the model that the graphs were exported from, because only verify reads ONNX graphs");
    const replaced = await run("runs/notes", "--format", "onnx", "--out", "runs/notes-onnx", "--overwrite");
    expect(replaced.stdout).toMatch(/ in f32, /u);
  });

  test.each([
    ["gguf", "runs/notes/best/model.gguf"],
    ["gguf", "runs/notes/checkpoint/inner"],
    ["hf", "runs/notes/best/copy"],
    ["onnx", "runs/notes/checkpoint/onnx"],
  ])("writes no %s into a checkpoint of a run: %s", async (format, place) => {
    const before = tree(cwd);
    const { status, stderr } = await run("base", "--format", format, "--out", place, "--overwrite");
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: expect.stringMatching(
        /: must not be inside a model's folder: the folder's manifest would not list the new file; got .*notes/u,
      ),
    });
    expect(tree(cwd)).toEqual(before);
  });

  test("takes the format from the name of the file, and other element types", async () => {
    const { stdout } = await run("base", "--dtype", "q8_0", "--out", "small.gguf");
    expect(stdout).toMatch(/^small\.gguf: [\d,]+ parameters in q8_0/u);
  });

  test("merges an adapter, or writes it alone for its model", async () => {
    const merged = await run("adapter", "--format", "gguf");
    const coarse = await run("adapter", "--format", "gguf", "--dtype", "q4_0", "--out", "coarse.gguf");
    expect(coarse.stderr).toContain(
      "merged into q4_0 weights may lose much of what it learned: `foretoken evaluate FILE --data TEXT` measures how much. To keep it, use q8_0 (export --dtype q8_0, quantize --to q8_0), or",
    );
    const fine = await run("adapter", "--format", "gguf", "--dtype", "q8_0", "--out", "fine.gguf");
    expect(fine.status, fine.stderr).toBe(0);
    expect(fine.stderr).not.toContain("may lose much");
    expect(merged.stdout).toMatch(/^adapter-f32\.gguf: .*\nThe adapter is merged into the model in \S*base\.\n$/u);
    const alone = await run("base", "--adapter", "adapter", "--format", "gguf", "--adapter-only", "--out", "lora.gguf");
    expect(alone.stdout).toMatch(
      /^lora\.gguf: .*\nOnly the adapter was written\. Other programs must apply the adapter to the model in base, or to a copy/u,
    );
    const expected = await textOf("adapter", "--prompt", "0123");
    expect(await textOf("adapter-f32.gguf", "--prompt", "0123")).toBe(expected);
    expect(await textOf("base", "--adapter", "lora.gguf", "--prompt", "0123")).toBe(expected);
    expect(await textOf("lora.gguf", "--base", "base", "--prompt", "0123")).toBe(expected);
    const folder = await run("lora.gguf", "--base", "base", "--format", "hf", "--adapter-only", "--out", "models/peft");
    expect(folder.status, folder.stderr).toBe(0);
    expect(await textOf("models/peft", "--prompt", "0123")).toBe(expected);
    const info = await cli(["info", "base", "--adapter", "lora.gguf", "--json"], { cwd });
    expect(jsonLines(info.stdout)[0]).toMatchObject({ adapter: { rank: 4, alpha: 8, isBase: null } });
  });

  test("writes nothing for bad input, and touches no folder of the user's", async () => {
    await mkdir(join(cwd, "mine"), { recursive: true });
    await writeFile(join(cwd, "mine", "letter.txt"), "dear");
    await writeFile(join(cwd, "mine.gguf"), "precious");
    const before = tree(cwd);
    const refused = async (...args: readonly string[]): Promise<string> => {
      const { status, stderr, stdout } = await run(...args);
      expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
      expect(tree(cwd)).toEqual(before);
      return stderr.trim().split("\n").at(-1) ?? "";
    };
    expect(await refused("base")).toBe("foretoken: --format: must be hf, gguf or onnx; got nothing; try --format gguf");
    expect(await refused("base", "--format", "onnxx")).toMatch(
      /^foretoken: --format: must be hf, gguf or onnx; got "onnxx"/u,
    );
    expect(await refused("base", "--format", "hf", "--dtype", "q8_0")).toBe(
      "foretoken: --dtype: must be f32 or bf16 for hf; got q8_0",
    );
    const dtype = (format: string, name: string) => refused("base", "--dtype", name, "--format", format);
    expect(await dtype("onnx", "q8")).toBe('foretoken: --dtype: must be f32 or int8 for onnx; got "q8"; try int8');
    expect(await dtype("gguf", "q8")).toMatch(/^foretoken: --dtype: must be f32, .* for gguf; got "q8"; try q8_0$/u);
    expect(await dtype("hf", "f23")).toBe('foretoken: --dtype: must be f32 or bf16 for hf; got "f23"; try f32');
    for (const [format, out] of [
      ["gguf", "text.txt"],
      ["hf", join("text.txt", "model")],
      ["onnx", join("text.txt", "a", "b")],
    ] as const) {
      const line = await refused("base", "--format", format, "--out", out);
      expect(line).toMatch(
        /^foretoken: text\.txt\S+: must be in a folder; got text\.txt, which is a file; try another name$/u,
      );
    }
    for (const format of ["hf", "onnx"]) {
      const line = await refused("base", "--format", format, "--out", "text.txt");
      expect(line).toMatch(
        /^foretoken: text\.txt: the folder must be new, empty or contain only an earlier checkpoint; got a file;/u,
      );
    }
    expect(await refused("base", "--format", "gguf", "--out", "mine.gguf")).toMatch(
      /^foretoken: mine\.gguf: the name must be free; got a file with this name; try another name, or --overwrite$/u,
    );
    expect(await refused("base", "--format", "hf", "--out", "mine", "--overwrite")).toMatch(
      /^foretoken: mine: the folder must be new, empty or contain only an earlier checkpoint; got a folder that contains "letter\.txt"/u,
    );
    expect(await refused("runs/notes", "--format", "hf", "--out", "runs/notes/best", "--overwrite")).toMatch(
      /got a checkpoint that a run resumes from/u,
    );
    expect(await refused("base", "--format", "gguf", "--adapter-only")).toMatch(
      /^foretoken: --adapter-only: must be used with a LoRA adapter; got base, a whole model;/u,
    );
    expect(await refused("base", "--format", "gguf", "--base", "base")).toMatch(
      /^foretoken: --base: must be used only to load an adapter, because base is the adapter's base model; got base, which is not an adapter$/u,
    );
    expect(await refused("base", "--format", "gguf", "--weights", "last")).toMatch(
      /^foretoken: --weights: works only with a run's folder/u,
    );
    expect(await refused("none", "--format", "gguf")).toMatch(/^foretoken: none: the path must name a model;/u);
    expect(await readFile(join(cwd, "mine.gguf"), "utf8")).toBe("precious");
  });
});

/** The guide's code blocks in this language. */
const blocksOf = async (language: string): Promise<readonly string[]> => {
  const page = await readPage("docs/guides/take-it-elsewhere.md");
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "gmu"))].map(
    ([, code = ""]) => code,
  );
};

/** Instructions of an Ollama Modelfile, and patterns for their values. */
const instructions: Readonly<Record<string, RegExp>> = {
  FROM: /^\.\/\S+\.gguf$/u,
  ADAPTER: /^\.\/\S+\.gguf$/u,
  PARAMETER: /^(?:temperature|top_k|top_p|num_ctx|num_predict|seed) [\d.]+$|^stop "[^"]+"$/u,
  TEMPLATE: /^(?:"""[^"]*"""|\{\{ \.Prompt \}\})$/u,
  SYSTEM: /^.+$/u,
};

describe("docs/guides/take-it-elsewhere.md", () => {
  test("has Modelfiles of known instructions, whose files its commands write", async () => {
    const files = await blocksOf("Modelfile");
    expect(files.length).toBeGreaterThan(0);
    const commands = (await blocksOf("sh")).join("");
    for (const file of files) {
      // A value in triple quotes may have several lines.
      const flat = file.replaceAll(/"""[^"]*"""/gu, (value) => value.replaceAll("\n", "\\n"));
      const lines = flat.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      expect(lines.filter((line) => line.startsWith("FROM "))).toHaveLength(1);
      for (const line of lines) {
        const [, name = "", value = ""] = /^([A-Z]+) (.*)$/u.exec(line) ?? [];
        expect(value, line).toMatch(instructions[name] ?? /^$/u);
        if (name === "FROM" || name === "ADAPTER") expect(commands).toContain(`--out ${value.slice("./".length)}`);
      }
    }
  });

  test("has commands that write what they say", async () => {
    const lines = (await blocksOf("sh")).join("").split("\n");
    const ours = lines.flatMap((line) => /^npx foretoken (export \S.*?)(?: +#.*)?$/u.exec(line)?.[1] ?? []);
    expect(ours.length).toBeGreaterThan(3);
    await cli(
      [
        "train",
        ...tinyWith("--out", "runs/letters", "--init-from", "runs/notes", "--lora.rank", "2").filter(
          (word, i, all) => !/^--model\./u.test(word) && !/^--model\./u.test(all[i - 1] ?? ""),
        ),
      ],
      { cwd },
    );
    for (const line of ours) {
      const { status, stderr } = await cli(line.split(/ +/u), { cwd });
      expect(status, `${line}: ${stderr}`).toBe(0);
    }
  });
});
