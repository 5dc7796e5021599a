/** `verify` on graphs that `export` wrote, and on graphs with faults. */
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openOnnx } from "#foretoken/pretrained/onnx/run/open.node.js";
import { verifyMutatedOnnx } from "../support/mutated-exports.ts";
import { cli, jsonLines, tinyWith, workplace } from "./cli.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cwd: string;
let remove: () => Promise<void>;
const ok = async (...args: readonly string[]) => {
  const outcome = await cli(args, { cwd });
  expect(outcome.status, outcome.stderr).toBe(0);
  return outcome;
};
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  await ok("train", ...tinyWith("--out", "runs/notes"));
  await ok("export", "runs/notes", "--format", "onnx", "--out", "f32");
  await ok("export", "runs/notes", "--format", "onnx", "--dtype", "int8", "--out", "int8");
});
afterAll(() => remove());

const small = ["--backend", "reference", "--prompt-count", "3", "--max-new-tokens", "4"];

/** A copy of the float32 folder without its manifest. The manifest would show any change. */
const copyWith = async (name: string, change: (bytes: Buffer) => Buffer, file = "onnx/model.onnx"): Promise<void> => {
  await cp(join(cwd, "f32"), join(cwd, name), { recursive: true });
  await rm(join(cwd, name, "manifest.json"));
  const path = join(cwd, name, file);
  await writeFile(path, change(await readFile(path)));
};

/** Replaces a text by another text of the same length, at its first occurrence in the bytes. */
const replaced = (bytes: Buffer, text: string, by: string): Buffer => {
  const at = bytes.indexOf(text, 0, "latin1");
  if (at === -1 || by.length !== text.length) throw new Error(text);
  const copy = Buffer.from(bytes);
  copy.write(by, at, "latin1");
  return copy;
};

/**
 * Changes a number of the tensor with this name. The numbers come after the name and after the header of their field.
 */
const withNumber = (bytes: Buffer, name: string, value: number): Buffer => {
  const copy = Buffer.from(bytes);
  // Field 8 of a tensor is its name. Field 9 contains its bytes. The length of field 9 takes one or two bytes here.
  const at = copy.indexOf(`\x42${String.fromCharCode(name.length)}${name}\x4a`, 0, "latin1");
  if (at === -1) throw new Error(name);
  const start = at + name.length + 3;
  copy.writeFloatLE(value, start + ((copy[start] as number) < 128 ? 1 : 2));
  return copy;
};

describe("verify of graphs of ONNX", () => {
  test("finds a float32 graph equal but for the last bits, and one of eight bits a little off", async () => {
    const { stdout, stderr } = await ok("verify", "runs/notes", "f32", "int8", "f32/onnx/model.onnx", ...small);
    expect(stderr).toBe("");
    const lines = stdout.split("\n");
    expect(lines[2]).toMatch(/^f32 +(?:0|\d\.\de-[5-9]) +3 of 3 prompts +none +\d\.\d{4}$/u);
    expect(lines[3]).toMatch(/^int8 +(?:0\.0\d+|\d\.\de-\d) +\d of 3 prompts +(?:none|prompt .*) +\d\.\d{4}$/u);
    const bits = lines.slice(1, 5).map((line) => Number(line.split(" ").at(-1)));
    expect(bits[1]).toBe(bits[0]);
    expect(bits[2]).toBeCloseTo(bits[0] ?? 0, 2);
    expect(lines[4]?.replace("/onnx/model.onnx", "").split(/ +/u)).toEqual(lines[2]?.split(/ +/u));
  });

  test("has a row for each graph of a folder, and none of a folder with weights of its own", async () => {
    await cp(join(cwd, "f32"), join(cwd, "both"), { recursive: true });
    await rm(join(cwd, "both/manifest.json"));
    await cp(join(cwd, "int8/onnx"), join(cwd, "both/onnx"), { recursive: true });
    const files = async (): Promise<readonly string[]> => {
      const { stdout } = await ok("verify", "runs/notes", "both", ...small, "--json");
      return (jsonLines(stdout)[0] as { forms: { file: string }[] }).forms.map(({ file }) => file);
    };
    expect(await files()).toEqual([join("both", "onnx", "model.onnx"), join("both", "onnx", "model_quantized.onnx")]);
    await ok("export", "runs/notes", "--format", "hf", "--out", "hf");
    await cp(join(cwd, "hf/model.safetensors"), join(cwd, "both/model.safetensors"));
    expect(await files()).toEqual(["both"]);
  });

  test("finds a wrong constant, other weights and another tokenizer", async () => {
    // Changes the factor of scores, 1/√4, and the first weight of a norm.
    await copyWith("constant", (bytes) => withNumber(bytes, "float32[0.5]", 0.4));
    await copyWith("weights", (bytes) => withNumber(bytes, "blocks.0.mlpNorm.weight", 3));
    await copyWith(
      "text",
      (bytes) => {
        const json = JSON.parse(bytes.toString());
        const { a, c } = json.model.vocab;
        Object.assign(json.model.vocab, { a: c, c: a });
        return Buffer.from(JSON.stringify(json));
      },
      "tokenizer.json",
    );
    const { status, stdout } = await cli(["verify", "runs/notes", "constant", "weights", "text", ...small, "--json"], {
      cwd,
    });
    expect(status).toBe(1);
    const [constant, weights, text] = (jsonLines(stdout)[0] as { forms: Record<string, unknown>[] }).forms;
    expect(constant?.largestLogit).toBeGreaterThan(1e-4);
    expect(weights?.largestLogit).toBeGreaterThan(1e-3);
    expect(text).toMatchObject({ textDifference: { kind: "token" } });
    expect(text?.largestLogit).toBeLessThan(1e-4);
  });

  test("refuses what does not run, or is damaged, in one line with the node or the tensor", async () => {
    const node = "blocks.0.mlp/";
    await copyWith("missing", (bytes) => replaced(bytes, `${node}Gemm:y`, `${node}Gemm:z`));
    await copyWith("operator", (bytes) => replaced(bytes, "\x22\x07Softmax", "\x22\x07Hardmax"));
    await copyWith("cut", (bytes) => bytes.subarray(0, bytes.length - 3000));
    await copyWith("empty", () => Buffer.alloc(0));
    // Version 8 of the format, version 17 of the operators, and an empty graph.
    await copyWith("bare", () => Buffer.from([0x08, 8, 0x42, 4, 0x0a, 0, 0x10, 17, 0x3a, 0]));
    await copyWith(
      "config",
      (bytes) => Buffer.from(bytes.toString().replace(/"vocab_size": \d+/u, '"vocab_size": 99')),
      "config.json",
    );
    await cp(join(cwd, "f32"), join(cwd, "changed"), { recursive: true });
    const graph = join(cwd, "changed/onnx/model.onnx");
    await writeFile(graph, withNumber(await readFile(graph), "blocks.0.mlpNorm.weight", 3));
    await cp(join(cwd, "f32/onnx/model.onnx"), join(cwd, "alone.onnx"));
    await cp(join(cwd, "f32/onnx/model.onnx"), join(cwd, "changed/onnx/mine.onnx"));
    const line = async (file: string): Promise<string> => {
      const { status, stderr } = await cli(["verify", "runs/notes", file, ...small], { cwd });
      expect(status, file).toBe(2);
      expect(stderr.trim().split("\n"), file).toHaveLength(1);
      return stderr.trim();
    };
    expect(await line("missing")).toMatch(
      /model\.onnx: node blocks\.0\.mlp\/\S+ \(\w+\) must read only tensors that exist already; got "/u,
    );
    expect(await line("operator")).toMatch(/\(Hardmax\) must be an operator that export writes; got Hardmax$/u);
    expect(await line("cut")).toMatch(/model\.onnx: .* must end within /u);
    expect(await line("empty")).toMatch(
      /model\.onnx: the graph of an ONNX file must occur exactly once; got nothing$/u,
    );
    expect(await line("bare")).toMatch(/model\.onnx: the graph must have the input input_ids; got none$/u);
    expect(await line("config")).toMatch(/^foretoken: config\S*: /u);
    expect(await line("changed")).toMatch(/model\.onnx: the file must match its SHA-256/u);
    expect(await line("changed/onnx/mine.onnx")).toMatch(
      /mine\.onnx: the folder's manifest\.json must list the file; got no file with this name; try a complete copy of the folder, or deleting manifest\.json to read the files without a check$/u,
    );
    expect(await line("alone.onnx")).toMatch(/config\.json: a checkpoint must have config\.json; got no such file/u);
    expect(await line("none.onnx")).toBe("foretoken: none.onnx: the path must name a model; got no such file");
  });

  test("ends between two calls of a graph where a signal asks for it", async () => {
    const end = new AbortController();
    const form = await openOnnx(join(cwd, "f32/onnx/model.onnx"), { backend: "reference", signal: end.signal });
    const seen: number[] = [];
    const all = (async () => {
      for await (const { from } of form.pieces([1, 2, 3, 4, 5, 6])) {
        seen.push(from);
        end.abort(new Error("enough"));
      }
    })();
    await expect(all).rejects.toThrow("enough");
    expect(seen).toEqual([0]);
    await form.close();
  });

  test("gives one line or figures for damaged graphs: 10 of the 200 of the slow test", async () => {
    const { refused, different, same } = await verifyMutatedOnnx(cwd, "runs/notes", ["f32", "int8"], 10);
    expect(refused).toBeGreaterThan(2);
    expect(refused + different + same).toBe(10);
  });
});
