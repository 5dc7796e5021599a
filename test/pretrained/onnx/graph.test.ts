import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { onnxFiles } from "#foretoken/io/onnx/files.js";
import { joinChunks } from "#foretoken/io/safetensors.js";
import { arenaReader } from "#foretoken/models/arena.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { createModel } from "#foretoken/models/model.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { operators } from "#foretoken/pretrained/onnx/builder.js";
import { modelGraph, type OnnxDType } from "#foretoken/pretrained/onnx/transformer.js";
import { namedWeights } from "#foretoken/pretrained/onnx/weights.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { forwardError, furthest, largest } from "../../support/closeness.ts";
import { ggufConfigs } from "../../support/gguf-models.ts";
import {
  bookModel,
  differingModel,
  groupedModel,
  hashedIds,
  hashedWeights,
  sandwichModel,
} from "../../support/models.ts";
import { readWhole, type WholeModel } from "../../support/onnx/read.ts";
import { type Answer, callOn } from "../../support/onnx/session.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await openReference({ real: "float64" });
});
afterAll(() => backend.close());
/** One execution of the graph, in double precision. */
const call: ReturnType<typeof callOn> = (...asked) => callOn(backend)(...asked);
const tokenizer = charTokenizer([..."\n abcdefghijklm"]);

const small = { contextLength: 16, nLayer: 2, nEmbd: 32 } as const;
const { llama } = ggufConfigs;
const configs: Readonly<Record<string, ModelConfig>> = {
  ...ggufConfigs,
  "Phi3's": { ...llama, position: { kind: "rope", theta: 500, fraction: 0.5 } },
  "Llama's with biases": { ...llama, bias: { qkv: true, projection: true, mlp: true } },
  "linear scaling": { ...llama, position: { kind: "rope", theta: 500, scaling: { kind: "linear", factor: 4 } } },
  "Llama 3's scaling": { ...groupedModel, ...small, contextLength: 64, mlp: { kind: "swiglu", hidden: 48 } },
  "exact GELU, without biases": {
    ...{ ...bookModel, ...small, nHead: 4, tieEmbeddings: false },
    bias: { qkv: false, projection: false, mlp: false },
    mlp: { kind: "gelu", approximate: "none", ratio: 2 },
  },
  "layers that differ": { ...differingModel, ...small, nLayer: 3, mlp: { kind: "swiglu", hidden: 48 } },
  "norms around the branches, GEGLU, a window and factors": {
    ...{ ...sandwichModel, ...small, nHead: 4, mlp: { kind: "geglu", hidden: 48, approximate: "tanh" } },
    window: { size: 5 },
  },
  "squared ReLU and scaled token vectors": {
    ...{ ...bookModel, ...small, nHead: 4, embeddingScale: 3, normPlacement: "after" },
    mlp: { kind: "relu2", ratio: 2 },
  },
};

/** The model computes in double precision, like the graph in this test. */
const modelOf = (config: ModelConfig): LanguageModel => {
  const model = createModel(backend, config, tokenizer.vocabSize, "float64");
  backend.write(model.arena.storage, Float64Array.from(hashedWeights(model.layout)));
  return languageModel(model, tokenizer);
};

const graphOf = async ({ model }: LanguageModel, dtype: OnnxDType): Promise<WholeModel> => {
  const { config, layout, arena } = model;
  const weights = namedWeights(layout.parameters, arenaReader(backend, arena), "test");
  const file = onnxFiles("model.onnx", modelGraph(config, vocabSize, weights, dtype))["model.onnx"];
  if (file === undefined) throw new Error("the file is missing");
  const pieces: Uint8Array[] = [];
  for await (const piece of file.pieces()) pieces.push(piece);
  return readWhole(joinChunks(pieces));
};

const idsOf = (name: string, length: number): number[] => [...hashedIds(name, length, tokenizer.vocabSize)];
const { vocabSize } = tokenizer;

/** Angles, constants and scales are float32 in the file. So the error equals the error of sums in a float32 model. */
const toleranceOf = (config: ModelConfig, expected: Float32Array): number =>
  forwardError({ ...config, vocabSize }) * largest(expected);

describe.each(Object.entries(configs))("the graph of a model: %s", (_, config) => {
  const lm = () => modelOf(config);

  it("has the model's logits", async () => {
    const model = lm();
    const ids = idsOf("text", 12);
    const { data } = await model.logits(ids);
    const { logits } = await call(await graphOf(model, "float32"), [ids]);
    expect(logits.shape).toEqual([1, 12, vocabSize]);
    const { ratio, message } = furthest("logits", logits.data, data, toleranceOf(config, data));
    expect(ratio, message).toBeLessThan(1);
  });

  it("has the same logits with keys and values of what was before, in a batch, and beside padding", async () => {
    const graph = await graphOf(lm(), "float32");
    const [one, other] = [idsOf("one", 9), idsOf("other", 6)];
    const alone = [];
    for (const ids of [one, other]) alone.push((await call(graph, [ids])).logits.data);
    const padded = [0, 0, 0, ...other];
    const mask = [0, 0, 0, 1, 1, 1, 1, 1, 1];
    const masks = [one.map(() => 1), mask];
    const first = await call(
      graph,
      [one.slice(0, 5), padded.slice(0, 5)],
      undefined,
      masks.map((all) => all.slice(0, 5)),
    );
    const second = await call(graph, [one.slice(5), padded.slice(5)], first.past, masks);
    const rows = (answer: typeof first, row: number, from: number): number[] => {
      const [, time = 0] = answer.logits.shape;
      return [...answer.logits.data.subarray((row * time + from) * vocabSize, (row + 1) * time * vocabSize)];
    };
    expect([...rows(first, 0, 0), ...rows(second, 0, 0)]).toEqual([...(alone[0] ?? [])]);
    const ofOther = [...rows(first, 1, 3), ...rows(second, 1, 0)];
    const { ratio, message } = furthest("logits", ofOther, alone[1] ?? [], 1e-12);
    expect(ratio, message).toBeLessThan(1);
  });

  it("has nearly the same logits with eight bits, and each row the same whatever is beside it", async () => {
    const model = lm();
    const graph = await graphOf(model, "int8");
    const ids = idsOf("text", 12);
    const { data } = await model.logits(ids);
    const { logits } = await call(graph, [ids]);
    const { ratio, message } = furthest("logits", logits.data, data, 0.02 * largest(data));
    expect(ratio, message).toBeLessThan(1);
    let past: Answer["past"] | undefined;
    const oneByOne: number[] = [];
    for (const id of ids) {
      const answer = await call(graph, [[id]], past);
      past = answer.past;
      oneByOne.push(...answer.logits.data);
    }
    expect(oneByOne).toEqual([...logits.data]);
  });
});

describe("a graph's file", () => {
  it("has the names, types and sizes that transformers.js gives and takes", async () => {
    const { schemaVersion, operatorSets, inputs, outputs } = await graphOf(modelOf(ggufConfigs.qwen3), "float32");
    expect({ schemaVersion, operatorSets }).toEqual({ schemaVersion: 8, operatorSets: [{ domain: "", version: 17 }] });
    const cache = (prefix: string, length: string) =>
      [0, 1].flatMap((i) =>
        ["key", "value"].map((part) => ({
          ...{ name: `${prefix}.${i}.${part}`, type: "float32", shape: ["batch_size", 2, length, 16] },
        })),
      );
    const rows = ["batch_size", "sequence_length"];
    expect(inputs).toEqual([
      { name: "input_ids", type: "int64", shape: rows },
      { name: "attention_mask", type: "int64", shape: ["batch_size", "total_sequence_length"] },
      { name: "position_ids", type: "int64", shape: rows },
      ...cache("past_key_values", "past_sequence_length"),
    ]);
    expect(outputs).toEqual([
      { name: "logits", type: "float32", shape: [...rows, vocabSize] },
      ...cache("present", "total_sequence_length"),
    ]);
  });

  it.each(["float32", "int8"] as const)("has known operators, each with a name of its own: %s", async (dtype) => {
    for (const config of Object.values(configs)) {
      const { nodes, numbers } = await graphOf(modelOf(config), dtype);
      expect(operators).toEqual(expect.arrayContaining([...new Set(nodes.map(({ op }) => op))]));
      expect(new Set(nodes.map(({ name }) => name)).size).toBe(nodes.length);
      const used = new Set(nodes.flatMap(({ inputs }) => inputs));
      expect([...numbers.keys()].filter((name) => !used.has(name))).toEqual([]);
    }
  });

  it("has an embedding that is the head too once, and weights as they are", async () => {
    const model = modelOf(ggufConfigs.qwen3);
    const { numbers } = await graphOf(model, "float32");
    const names = model.model.layout.parameters.map(({ name }) => name);
    expect([...numbers.keys()].filter((name) => names.includes(name)).sort()).toEqual([...names].sort());
    const values = Float64Array.from(hashedWeights(model.model.layout));
    for (const { name, offset, size, shape } of model.model.layout.parameters) {
      expect(numbers.get(name)).toMatchObject({
        shape,
        data: values.subarray(offset, offset + size),
      });
    }
  });

  it("has weights of eight bits that are at most half a step off", async () => {
    const model = modelOf(configs["exact GELU, without biases"] as ModelConfig);
    const values = hashedWeights(model.model.layout);
    const { numbers } = await graphOf(model, "int8");
    const rounded = [...numbers.keys()].filter((name) => name.endsWith(".u8"));
    expect(rounded).toHaveLength(2 * 4 + 2);
    for (const name of rounded) {
      const weight = model.model.layout.parameters.find((one) => `${one.name}.u8` === name);
      const [levels, scales] = [numbers.get(name), numbers.get(name.replace(".u8", ".scales"))];
      if (weight === undefined || levels === undefined || scales === undefined) throw new Error(name);
      const [inputs = 0, outputs = 0] = levels.shape;
      expect([outputs, inputs]).toEqual(weight.shape);
      for (let i = 0; i < weight.size; i++) {
        const [output, input] = [Math.floor(i / inputs), i % inputs];
        const scale = scales.data[output] ?? 0;
        const value = ((levels.data[input * outputs + output] ?? 0) - 128) * scale;
        expect(Math.abs(value - (values[weight.offset + i] ?? 0))).toBeLessThan(0.5001 * scale);
      }
    }
  });

  it("has finite logits for a row of weights that are zero", async () => {
    const model = modelOf(llama);
    const { storage } = model.model.arena;
    backend.write(storage, new Float64Array(model.model.layout.length));
    const { logits } = await call(await graphOf(model, "int8"), [idsOf("text", 3)]);
    expect(new Set(logits.data)).toEqual(new Set([0]));
  });
});
