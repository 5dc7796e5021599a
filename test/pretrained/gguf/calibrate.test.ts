import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inferenceContext, withContext } from "#foretoken/autograd/context.js";
import type { Backend, View } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { observed } from "#foretoken/backend/observers/observed.js";
import type { HostArray } from "#foretoken/core/tensors/dtype.js";
import { memorySource } from "#foretoken/io/byte-source.js";
import { openGgufFile } from "#foretoken/io/gguf/gguf.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { forward } from "#foretoken/models/forward.js";
import { loraModel } from "#foretoken/models/lora/model.js";
import { calibrationBatches } from "#foretoken/pretrained/gguf/write/calibrate.js";
import { measureImportance } from "#foretoken/pretrained/gguf/write/importance.js";
import { saveGguf as saveInPage } from "#foretoken/pretrained/gguf/write/save.browser.js";
import { type SaveGgufOptions, saveGguf } from "#foretoken/pretrained/gguf/write/save.node.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { forEachBackend } from "../../support/backends.ts";
import { ggufConfigs } from "../../support/gguf-models.ts";
import { hashedIds, hashedModel } from "../../support/models.ts";
import { modelWithText, peftAdapter } from "../../support/peft.ts";
import { useFolder } from "../../support/runs.ts";

const { newPath } = useFolder();
const vocabSize = 24;
const configs: readonly (readonly [string, ModelConfig])[] = [
  ["gelu, a shared head", ggufConfigs.gpt2],
  ["swiglu, a separate head", ggufConfigs.llama],
];

const batchesOf = ({ contextLength }: ModelConfig) => [
  ...calibrationBatches(hashedIds("text", 90, vocabSize), contextLength, undefined),
];

/** The mean square of each input, from the rows of x that a forward pass multiplies by each matrix. */
const plainSquares = async (inner: Backend, config: ModelConfig): Promise<ReadonlyMap<string, Float64Array>> => {
  const backend = observed(inner);
  const model = hashedModel(backend, config, vocabSize);
  const sums = new Map<string, Float64Array>();
  let count = 0;
  /** The reference backend copies the values at once. */
  const reads: Promise<void>[] = [];
  const watch = ({ x, w, m, k }: { x: View; w: View; m: number; k: number }): void => {
    const name = model.layout.parameters.find(({ offset }) => offset === w.offset)?.name ?? "";
    const sum = sums.get(name) ?? new Float64Array(k);
    sums.set(name, sum);
    const add = (values: HostArray): void => {
      for (const [i, value] of values.entries()) sum[i % k] = (sum[i % k] ?? 0) + value ** 2;
    };
    reads.push(inner.read(x.storage, x.offset, m * k).then(add));
  };
  for (const { x, rows, time } of batchesOf(config)) {
    count += rows * time;
    await backend.observe(
      (kernel, args) => {
        if (kernel === "linearForward" || kernel === "linearGeluForward") watch(args as never);
      },
      () =>
        withContext(inferenceContext(backend), async (context) => {
          forward(context, model, x, rows, time);
        }),
    );
  }
  await Promise.all(reads);
  model.close();
  return new Map([...sums].map(([name, sum]) => [name, sum.map((total) => total / count)]));
};

describe.each(configs)("the importances of a model with %s", (_, config) => {
  it("are the mean squares of the inputs of all matrices", async () => {
    const backend = await openReference();
    const expected = await plainSquares(backend, config);
    const model = hashedModel(backend, config, vocabSize);
    const found = await measureImportance(model, batchesOf(config));
    const matrices = model.layout.parameters.filter(
      ({ name, shape }) => shape.length === 2 && !/^(tok|pos)/u.test(name),
    );
    expect(matrices.every(({ name }) => found.has(name))).toBe(true);
    expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [name, squares] of expected) {
      for (const [i, square] of squares.entries()) expect(found.get(name)?.[i]).toBeCloseTo(square, 5);
    }
    model.close();
    expect(backend.bytesInUse()).toBe(0);
    await backend.close();
  });

  forEachBackend("on a backend", ({ name, open }) => {
    it("have the same bits for any number of threads, and are the same with an adapter that changes nothing", async () => {
      const measured = [];
      for (const threads of name === "reference" ? [1, 1] : [1, 2]) {
        const backend = await open(threads, "float32");
        const model = hashedModel(backend, config, vocabSize);
        measured.push(await measureImportance(model, batchesOf(config)));
        // A new adapter adds nothing, because its matrices B are 0.
        const adapted = loraModel(model, {}, 1);
        expect([...(await measureImportance(adapted, batchesOf(config))).keys()]).toEqual([
          ...(measured[0]?.keys() ?? []),
        ]);
        adapted.close();
        model.close();
        expect(backend.bytesInUse()).toBe(0);
        await backend.close();
      }
      expect(measured[1]).toEqual(measured[0]);
    });
  });
});

describe("the windows of a text", () => {
  it("are evenly spread over a long text, and cover a short text", () => {
    const ids = Int32Array.from({ length: 100_000 }, (_, i) => i);
    const batches = [...calibrationBatches(ids, 4096, undefined)];
    const starts = batches.flatMap(({ x, rows, time }) =>
      Array.from({ length: rows }, (_, row) => x[row * time] ?? -1),
    );
    expect(starts).toHaveLength(32);
    expect(starts.slice(0, 3)).toEqual([0, 3072, 6144]);
    expect(starts.at(-1)).toBeGreaterThan(95_000);
    const [short, ...others] = calibrationBatches(ids.subarray(0, 300), 4096, undefined);
    expect({ ...short, others }).toMatchObject({ rows: 1, time: 300, others: [] });
  });

  it("begin with the token BOS, if the tokenizer has one", () => {
    const [batch] = calibrationBatches(Int32Array.of(1, 2, 3, 4, 5, 6), 3, 9);
    expect(batch).toMatchObject({ rows: 2, time: 3, x: Int32Array.of(9, 1, 2, 9, 4, 5) });
  });
});

describe("saveGguf with a calibration", () => {
  const text = "0123456789:;<=>?@ABCD".repeat(40);
  const calibration = { text, name: "digits.txt", backend: "reference" } as const;
  const saved = async (model: Parameters<typeof saveGguf>[1], options: SaveGgufOptions) => {
    const path = `${newPath()}.gguf`;
    const result = await saveGguf(path, model, options);
    const bytes = new Uint8Array(await readFile(path));
    return { result, path, bytes, file: await openGgufFile(memorySource(bytes), path) };
  };

  it("changes the blocks, writes llama.cpp's fields, and counts the matrices", async () => {
    const model = await modelWithText("llama3", newPath());
    const plain = await saved(model, { encoding: "q4_0" });
    const found = await saved(model, { encoding: "q4_0", calibration });
    expect(found.bytes.length).toBeGreaterThan(plain.bytes.length);
    expect(plain.result.calibration).toBeUndefined();
    const matrices = found.file.tensors.filter(
      ({ encoding, name }) => /^Q/u.test(encoding) && name !== "token_embd.weight",
    );
    expect(found.result.calibration).toEqual({ matrices: matrices.length, without: [] });
    expect(found.file.metadata.get("quantize.imatrix.dataset")).toBe("digits.txt");
    expect(found.file.metadata.get("quantize.imatrix.entries_count")).toBe(matrices.length);
    expect(found.file.metadata.get("quantize.imatrix.chunks_count")).toBeGreaterThan(1);
    expect(plain.file.metadata.has("quantize.imatrix.dataset")).toBe(false);
  });

  it("gives the same matrices from a directory, from a GGUF file and from a loaded model", async () => {
    const directory = await modelWithText("llama3", newPath());
    const whole = await saved(directory, { encoding: "f32" });
    const lm = await loadPretrained(directory, { backend: "reference" });
    const { backend: _, ...own } = calibration;
    const files = [
      await saved(directory, { encoding: "q5_0", calibration }),
      await saved(whole.path, { encoding: "q5_0", calibration }),
      await saved(lm, { encoding: "q5_0", calibration: own, name: "model" }),
    ];
    const inPage = await saveInPage(lm, { encoding: "q5_0", calibration: own });
    expect(Buffer.from(await inPage.arrayBuffer())).toEqual(Buffer.from(files[2]?.bytes ?? []));
    await lm.close();
    const tensors = await Promise.all(
      files.map(({ file }) =>
        Promise.all(file.tensors.map(async ({ name, readRows, shape }) => [name, await readRows(0, shape[0] ?? 1)])),
      ),
    );
    expect(tensors[1]).toEqual(tensors[0]);
    expect(tensors[2]).toEqual(tensors[0]);
  });

  it("merges an adapter first", async () => {
    const { directory } = peftAdapter("llama");
    const model = await modelWithText("llama3", newPath());
    const { result } = await saved(model, { encoding: "q8_0", calibration, adapter: directory, baseCheck: false });
    expect(result.calibration?.without).toEqual([]);
  });

  it("names matrices whose inputs were all 0, and encodes them without importances", async () => {
    const backend = await openReference();
    const config = ggufConfigs.llama;
    const tokenizer = charTokenizer([..."0123456789:;<=>?@ABCD"]);
    const model = hashedModel(backend, config, tokenizer.vocabSize);
    const norm = model.layout.parameters.find(({ name }) => name === "blocks.0.mlpNorm.weight");
    model.writeWeights(new Float32Array(norm?.size ?? 0), norm?.offset ?? 0);
    const lm = languageModel(model, tokenizer);
    const notices: string[] = [];
    const options = { encoding: "q4_0", onNotice: (line: string) => void notices.push(line) } as const;
    const { result } = await saved(lm, { ...options, calibration: { text } });
    expect(result.calibration?.without).toEqual(
      expect.arrayContaining(["blk.0.ffn_gate.weight", "blk.0.ffn_up.weight"]),
    );
    expect(notices).toEqual([
      expect.stringMatching(/^blk\.0\.\S+ \(and \d more\): all inputs were 0 in the text of the calibration, so/u),
    ]);
    await lm.close();
    await backend.close();
  });

  it("refuses a short text, an encoding without blocks, and a backend for a loaded model", async () => {
    const path = join(newPath(), "new.gguf");
    const model = await modelWithText("llama3", newPath());
    const save = (options: SaveGgufOptions) => saveGguf(path, model, options);
    const short = { ...calibration, text: "0123" };
    await expect(save({ encoding: "q4_0", calibration: short })).rejects.toThrow(
      "digits.txt: a text for calibration must have at least 256 tokens; got 4; try a longer text",
    );
    await expect(save({ encoding: "bf16", calibration })).rejects.toThrow(
      "saveGguf: calibration: must be used only with a quantized encoding; got bf16, which needs no calibration",
    );
    const stop = AbortSignal.abort(new Error("stopped"));
    await expect(save({ encoding: "q4_0", calibration, signal: stop })).rejects.toThrow("stopped");
    const lm = await loadPretrained(model, { backend: "reference" });
    await expect(saveGguf(path, lm, { encoding: "q4_0", calibration })).rejects.toThrow(
      /^saveGguf: calibration\.backend: must be used only if the model is a path or a name/u,
    );
    await lm.close();
  });
});
