/** LoRA adapters as GGUF files. The adapters are written, read back, and compared with llama.cpp's results. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CheckpointError } from "#foretoken/core/errors/errors.js";
import { memorySource } from "#foretoken/io/byte-source.js";
import { type GgufTensor, openGgufFile } from "#foretoken/io/gguf/gguf.js";
import { openAdapter } from "#foretoken/pretrained/adapter/open.node.js";
import { exportModel } from "#foretoken/pretrained/export/export.node.js";
import { openGgufAdapter } from "#foretoken/pretrained/gguf/adapter/read.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { largest } from "../../support/closeness.ts";
import { damage, randomFor } from "../../support/forge.ts";
import { f32, float32Tensor, type TypedValue, text, writeGguf } from "../../support/gguf.ts";
import { copyAdapter, modelWithText, type PeftAdapter, peftAdapters } from "../../support/peft.ts";
import { useFolder } from "../../support/runs.ts";

const { newPath } = useFolder();

const openFile = async (path: string) => openGgufFile(memorySource(await readFile(path)), path);

const matrixOf = async (tensors: readonly GgufTensor[], name: string) => {
  const found = tensors.find((tensor) => tensor.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  const [rows = 1, width = 1] = found.shape;
  return { rows, width, values: await found.readRows(0, rows) };
};

const writeAdapter = async (
  { directory, base }: Pick<PeftAdapter, "directory" | "base">,
  dtype: "f32" | "bf16" = "f32",
) => {
  const path = `${newPath()}.gguf`;
  return exportModel(path, directory, { format: "gguf", dtype, base, adapterOnly: true });
};

/** The logits of the model with an adapter. */
const logitsWith = async (base: string, adapter: string, ids: readonly number[]): Promise<Float32Array> => {
  const lm = await loadPretrained(base, { backend: "reference", adapter });
  try {
    return (await lm.logits(ids)).data;
  } finally {
    await lm.close();
  }
};

describe.each(peftAdapters)("an adapter of $name as a GGUF file", (adapter) => {
  it("is read back: the same logits as from PEFT's folder", async () => {
    const { path } = await writeAdapter(adapter);
    const found = await logitsWith(adapter.base, path, adapter.ids);
    const expected = await logitsWith(adapter.base, adapter.directory, adapter.ids);
    // If ranks and factors differ by layer, a GGUF file stores them in another way.
    expect(largest(found.map((value, i) => value - (expected[i] as number)))).toBeLessThan(2e-5);
  });
});

describe("the file", () => {
  it.each(peftAdapters.filter(({ name }) => ["llama", "qwen3", "gpt2", "phi3"].includes(name)))(
    "of $name: base and alpha / rank · B·A are the merged file, matrix by matrix",
    async (adapter) => {
      // The rows are compared in the order of the file, before a reader reorders them.
      const base = await modelWithText(adapter.base.split(/[/\\]/u).at(-1) ?? "", newPath());
      const [whole, merged] = [`${newPath()}.gguf`, `${newPath()}.gguf`];
      await exportModel(whole, base, { format: "gguf" });
      await exportModel(merged, adapter.directory, { format: "gguf", base });
      const { path } = await writeAdapter({ ...adapter, base });
      const [before, after, file] = await Promise.all([whole, merged, path].map(openFile));
      const alpha = Number(file?.metadata.get("adapter.lora.alpha"));
      let compared = 0;
      for (const { name } of file?.tensors ?? []) {
        if (!name.endsWith(".lora_a")) continue;
        const target = name.slice(0, -".lora_a".length);
        const a = await matrixOf(file?.tensors ?? [], name);
        const b = await matrixOf(file?.tensors ?? [], `${target}.lora_b`);
        const [one, other] = await Promise.all([before, after].map((model) => matrixOf(model?.tensors ?? [], target)));
        expect([b.rows, a.width, b.width]).toEqual([one?.rows, one?.width, a.rows]);
        const sums = (one?.values ?? new Float32Array()).map((value, i) => {
          const [row, column] = [Math.floor(i / a.width), i % a.width];
          let sum = 0;
          for (let k = 0; k < a.rows; k++) {
            sum += (b.values[row * a.rows + k] as number) * (a.values[k * a.width + column] as number);
          }
          return value + (alpha / a.rows) * sum;
        });
        expect(largest(sums.map((sum, i) => sum - (other?.values[i] as number))), target).toBeLessThan(1e-6);
        compared++;
      }
      expect(compared).toBeGreaterThan(1);
    },
  );

  it("has llama.cpp's keys, half the bytes in bf16, and becomes PEFT's folder again", async () => {
    const [adapter] = peftAdapters;
    if (adapter === undefined) throw new Error("there are adapters");
    const whole = await writeAdapter(adapter);
    const half = await writeAdapter(adapter, "bf16");
    expect(whole).toMatchObject({ adapter: "alone", dtype: "f32", format: "gguf", fallbacks: [] });
    expect(half.bytes).toBeLessThan(0.6 * whole.bytes);
    const { metadata } = await openFile(whole.path);
    expect(Object.fromEntries(metadata)).toMatchObject({ "general.type": "adapter", "adapter.type": "lora" });
    const folder = newPath();
    await exportModel(folder, whole.path, { format: "hf", base: adapter.base, adapterOnly: true });
    const [one, other] = await Promise.all([folder, adapter.directory].map((place) => openAdapter(place)));
    const lm = await loadPretrained(adapter.base, { backend: "reference" });
    const { config } = lm.model;
    await lm.close();
    const [values, expected] = [await one?.read(config), await other?.read(config)];
    expect(values?.lora).toMatchObject({ rank: expected?.lora.rank, targets: expected?.lora.targets });
    await one?.source.close();
    await other?.source.close();
  });
});

const llama = peftAdapters.find(({ name }) => name === "llama") as PeftAdapter;

describe("a file that is no adapter for the model", () => {
  const kind = { "general.architecture": text("llama"), "general.type": text("adapter") };
  const lora = { ...kind, "adapter.type": text("lora"), "adapter.lora.alpha": f32(8) };
  const numbers = (rows: number, width: number) => float32Tensor([rows, width], new Float32Array(rows * width));

  it.each<[what: string, metadata: Readonly<Record<string, TypedValue>>, says: RegExp]>([
    ["another kind", { ...lora, "adapter.type": text("aligned") }, /adapter\.type: must be lora; got "aligned"/u],
    [
      "more settings",
      { ...lora, "adapter.alora.invocation_tokens": f32(1) },
      /alora\.invocation_tokens: must be absent/u,
    ],
    [
      "another architecture",
      { ...lora, "general.architecture": text("gpt2") },
      /must have the model's architecture, llama; got gpt2/u,
    ],
    ["a negative alpha", { ...lora, "adapter.lora.alpha": f32(-1) }, /alpha: must be 0 or above; got -1/u],
    ["no matrices", lora, /must hold the matrices of at least one layer; got no matrices/u],
  ])("%s", async (_, metadata, says) => {
    const path = `${newPath()}.gguf`;
    await writeFile(path, writeGguf({ metadata, tensors: {} }));
    const failed = loadPretrained(llama.base, { backend: "reference", adapter: path });
    await expect(failed).rejects.toThrow(CheckpointError);
    await expect(failed).rejects.toThrow(says);
  });

  it("matrices of other sizes or names, and half a pair", async () => {
    const refused = async (tensors: Readonly<Record<string, ReturnType<typeof numbers>>>): Promise<string> => {
      const path = `${newPath()}.gguf`;
      await writeFile(path, writeGguf({ metadata: lora, tensors }));
      const error = await loadPretrained(llama.base, { backend: "reference", adapter: path }).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(CheckpointError);
      return (error as Error).message;
    };
    expect(await refused({ "blk.0.attn_q.weight.lora_a": numbers(2, 3) })).toMatch(
      /lora_a must have shape \[2, \d+\]/u,
    );
    expect(await refused({ "blk.0.attn_q.weight": numbers(2, 3) })).toMatch(
      /every tensor must be a LoRA matrix, such as NAME\.weight\.lora_a; got "blk\.0\.attn_q\.weight"/u,
    );
    expect(await refused({ "blk.9.attn_q.weight.lora_a": numbers(2, 3) })).toMatch(/such as blk\.0\.attn_q; got/u);
  });

  it("an adapter alone is no model, and a model no adapter", async () => {
    const { path } = await writeAdapter(llama);
    await expect(loadPretrained(path, { backend: "reference" })).rejects.toThrow(
      /the adapter must name its base model; got nothing; try base MODEL/u,
    );
    const notices: string[] = [];
    const onNotice = (line: string): void => {
      notices.push(line);
    };
    const lm = await loadPretrained(path, { backend: "reference", base: llama.base, onNotice });
    expect(lm.adapter).toBe("default");
    // Only the model's directory has a hash. GGUF files do not have a hash.
    expect(notices).toEqual([expect.stringMatching(/llama3: unchecked/u)]);
    await lm.close();
    const model = `${newPath()}.gguf`;
    await exportModel(model, await modelWithText("llama3", newPath()), { format: "gguf" });
    await expect(loadPretrained(llama.base, { backend: "reference", adapter: model })).rejects.toThrow(
      /general\.type: must be adapter; got "model"/u,
    );
  });
});

it("a damaged file is refused in one line, or read for what it is: 120 of them", async () => {
  const whole = new Uint8Array(await readFile((await writeAdapter(llama)).path));
  const lm = await loadPretrained(llama.base, { backend: "reference" });
  const { config } = lm.model;
  await lm.close();
  let [refused, loaded] = [0, 0];
  for (let i = 0; i < 120; i++) {
    const bytes = damage(randomFor("damaged adapters", i), whole);
    try {
      const { read } = await openGgufAdapter(memorySource(bytes), "adapter.gguf");
      expect((await read(config)).values.every(Number.isFinite)).toBe(true);
      loaded++;
    } catch (error) {
      expect(error, String(i)).toBeInstanceOf(CheckpointError);
      expect((error as Error).message).toMatch(/^[^\n\r]+$/u);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(40);
  expect(loaded).toBeGreaterThan(10);
});

it("an adapter keeps the template and the ends that it learned", async () => {
  const folder = await copyAdapter("llama", newPath());
  await writeFile(join(folder, "chat_template.jinja"), "{{ messages }}");
  await writeFile(join(folder, "generation_config.json"), JSON.stringify({ eos_token_id: [5, 7] }));
  const { path } = await writeAdapter({ directory: folder, base: llama.base });
  const opened = await openAdapter(path);
  await opened.source.close();
  expect(opened.text).toEqual({ template: "{{ messages }}", endTokens: [5, 7] });
});
