import { describe, expect, it } from "vitest";
import { inferenceContext, withContext } from "#foretoken/autograd/context.js";
import { readTensor } from "#foretoken/autograd/tensor.js";
import type { Backend } from "#foretoken/backend/backend.js";
import { describeBackends, openBackend } from "#foretoken/backend/select.node.js";
import { fromBfloat16, toBfloat16 } from "#foretoken/core/tensors/dtype.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { crossEntropyLoss, forward, forwardLoss } from "#foretoken/models/forward.js";
import { createGradients } from "#foretoken/models/gradients.js";
import { createFrozenModel, createModel, type Model } from "#foretoken/models/model.js";
import { checkpointFiles } from "#foretoken/pretrained/files/checkpoint-files.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { saveOnnx } from "#foretoken/pretrained/onnx/save.node.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { bookModel, differingModel } from "../support/models.ts";
import { growingText } from "../support/texts.ts";

const { backends } = await describeBackends();
const native = backends.find(({ name }) => name === "native");
const narrow = native?.available === true && ["amx", "avx512bf16"].includes(native.instructionSet);
const title = narrow ? "" : " (this machine has no backend that multiplies from bfloat16)";

const tokenizer = trainCharTokenizer("abcdefghij");
const { vocabSize } = tokenizer;
const small = { ...bookModel, dropout: 0, contextLength: 40, nLayer: 2, nHead: 4, nEmbd: 48 };
const configs: Readonly<Record<string, ModelConfig>> = {
  "a GPT with learned positions": small,
  "a Llama with a tied head": {
    ...small,
    nKvHead: 2,
    norm: { kind: "rmsnorm", eps: 1e-5 },
    mlp: { kind: "swiglu", hidden: 80 },
    position: { kind: "rope", theta: 10_000 },
    bias: { qkv: false, projection: false, mlp: false },
    tieEmbeddings: true,
  },
  "a model whose layers differ": {
    ...{ ...differingModel, contextLength: 40, nEmbd: 48, nHead: 4, nKvHead: 2, headDim: 12 },
    ...{ mlp: { kind: "geglu", hidden: 80, approximate: "tanh" }, embeddingScale: 3, tieEmbeddings: true },
  },
};
const ids = Array.from({ length: 33 }, (_, i) => (i * 7) % vocabSize);

/** Weights that bfloat16 cannot represent. Matrices may lose bits, but vectors must not. */
const weightsOf = (length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => 0.2 * Math.sin(1 + i * 1.7) + 1e-4 * Math.cos(i));

const withBackend = async (work: (backend: Backend) => Promise<void>): Promise<void> => {
  const backend = await openBackend("native", { threads: 2, dtype: "bfloat16" });
  try {
    await work(backend);
    expect(backend.bytesInUse()).toBe(0);
  } finally {
    await backend.close();
  }
};

/** A float32 model and a frozen model with the same weights. The matrices of both models are rounded to bfloat16. */
const withPair = (config: ModelConfig, work: (exact: Model, frozen: Model) => Promise<void>): Promise<void> =>
  withBackend(async (backend) => {
    const exact = createModel(backend, config, vocabSize);
    const frozen = createFrozenModel(backend, config, vocabSize);
    const { length, decayed } = exact.layout;
    const values = weightsOf(length);
    // The weights are loaded in parts. A part may contain matrices and vectors.
    for (const [from, to] of [
      [0, 100],
      [100, decayed + 10],
      [decayed + 10, length],
    ] as const) {
      frozen.writeWeights(values.subarray(from, to), from);
    }
    const rounded = values.slice();
    rounded.set(fromBfloat16(toBfloat16(values.subarray(0, decayed))));
    exact.writeWeights(rounded, 0);
    try {
      await work(exact, frozen);
    } finally {
      exact.close();
      frozen.close();
    }
  });

const bitsOf = (values: ArrayLike<number>): readonly number[] =>
  Array.from(new Uint32Array(Float32Array.from(values).buffer));

describe.skipIf(!narrow)(`a model with bfloat16 matrices alone${title}`, () => {
  describe.each(Object.entries(configs))("%s", (_, config) => {
    it("has the logits and the loss of the same rounded weights in float32, to the bit", () =>
      withPair(config, async (exact, frozen) => {
        const targets = Int32Array.from(ids, (id) => (id + 1) % vocabSize);
        const compute = (model: Model) =>
          withContext(inferenceContext(model.backend), async (context) => {
            const logits = forward(context, model, ids, 1, ids.length);
            const loss = crossEntropyLoss(context, logits, targets);
            const fused = forwardLoss(context, model, ids, targets, 1, ids.length);
            return Promise.all([logits, loss, fused].map(async (one) => bitsOf(await readTensor(model.backend, one))));
          });
        expect(await compute(frozen)).toEqual(await compute(exact));
      }));

    it("decodes with the same bits, with and without a cache", () =>
      withPair(config, async (exact, frozen) => {
        for (const recomputes of [false, true]) {
          const [wanted, got] = [exact, frozen].map((model) => growingText(model, 23, recomputes));
          for (const length of [20, 21, 22, 23]) {
            const logits = await got?.next(ids.slice(0, length));
            expect(bitsOf(logits ?? [])).toEqual(bitsOf((await wanted?.next(ids.slice(0, length))) ?? []));
          }
          wanted?.close();
          got?.close();
        }
      }));
  });

  it("takes two bytes for each element of a matrix", () =>
    withBackend(async (backend) => {
      const frozen = createFrozenModel(backend, small, vocabSize);
      const { decayed, length } = frozen.layout;
      expect(backend.bytesInUse()).toBe(2 * decayed + 4 * (length - decayed));
      frozen.close();
    }));

  it("is refused where float32 weights are needed, and the error says what to do", () =>
    withBackend(async (backend) => {
      const frozen = createFrozenModel(backend, small, vocabSize);
      frozen.writeWeights(weightsOf(frozen.layout.length), 0);
      const before = backend.bytesInUse();
      const must = /must have float32 weights; got a model that has only bfloat16 weights; try loadPretrained.*float32/;
      expect(() => createGradients(frozen)).toThrow(must);
      for (const save of [savePretrained, saveOnnx]) {
        await expect(save("never-written", languageModel(frozen, tokenizer))).rejects.toThrow(must);
      }
      expect(backend.bytesInUse()).toBe(before);
      frozen.close();
    }));

  it("is what loadPretrained makes for bfloat16, and not for float32 or on a backend of the caller's", async () => {
    const layoutOf = await openBackend("reference");
    const model = createModel(layoutOf, small, vocabSize, "float32");
    const values = weightsOf(model.layout.length);
    model.close();
    await layoutOf.close();
    const files = await checkpointFiles(
      small,
      tokenizer,
      async (offset, size) => values.subarray(offset, offset + size),
      {
        vocabSize,
        endTokens: [],
        chatTemplate: null,
      },
    );
    for (const [dtype, frozen] of [
      ["float32", false],
      ["bfloat16", true],
      ["auto", true],
    ] as const) {
      const lm = await loadPretrained(files, { backend: "native", threads: 1, dtype });
      expect(lm.model.frozen).toBe(frozen);
      await lm.close();
    }
    const backend = await openBackend("native", { threads: 1, dtype: "bfloat16" });
    const lm = await loadPretrained(files, { backend });
    expect(lm.model.frozen).toBe(false);
    await lm.close();
    await backend.close();
  });
});
