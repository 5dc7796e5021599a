import { describe, expect, it } from "vitest";
import { readTensor } from "#foretoken/autograd/tensor.js";
import type { Backend } from "#foretoken/backend/backend.js";
import { describeBackends, openBackend } from "#foretoken/backend/select.node.js";
import { generate } from "#foretoken/generate/generate.js";
import { createGradients } from "#foretoken/models/gradients.js";
import { freshModel, type Model } from "#foretoken/models/model.js";
import { createOptimizer } from "#foretoken/optim/optimizer.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { bookModel } from "../support/models.ts";

const { backends } = await describeBackends();
const native = backends.find(({ name }) => name === "native");
const narrow = native?.available === true && ["amx", "avx512bf16"].includes(native.instructionSet);
const title = narrow ? "" : " (this machine has no backend that multiplies from bfloat16)";

const config = { ...bookModel, contextLength: 8, nLayer: 1, nHead: 1, nEmbd: 16 };
const tokenizer = trainCharTokenizer("abc");

describe.skipIf(!narrow)(`rounded copies of a model's weights${title}`, () => {
  const withModel = async (work: (model: Model, backend: Backend) => Promise<void>): Promise<void> => {
    const backend = await openBackend("native", { threads: 1, dtype: "bfloat16" });
    const model = freshModel(backend, config, tokenizer.vocabSize, 1);
    try {
      await work(model, backend);
    } finally {
      model.close();
      expect(backend.bytesInUse()).toBe(0);
      await backend.close();
    }
  };

  it("are made once for two generations, and again after the weights were changed", () =>
    withModel(async (model) => {
      const lm = languageModel(model, tokenizer);
      const write = async (): Promise<string> => {
        let text = "";
        for await (const event of generate(lm, { prompt: "ab", maxNewTokens: 6, temperature: 0 }))
          if (event.type === "done") text = event.text;
        return text;
      };
      const first = await write();
      const copies = model.rounded();
      const bytes = model.backend.bytesInUse();
      expect(await write()).toBe(first);
      expect(model.rounded()).toBe(copies);
      expect(model.backend.bytesInUse()).toBe(bytes);
      const read = () =>
        readTensor(model.backend, { storage: copies?.storage as never, offset: 0, shape: [model.layout.decayed] });
      const before = await read();
      // Doubled values are also exact in bfloat16.
      const { storage } = model.arena;
      const y = { storage, offset: 0 };
      model.backend.run("add", { a: y, b: y, y, n: storage.length });
      model.rounded();
      expect(await read()).toEqual(before);
      model.weightsChanged();
      model.rounded();
      expect(Array.from(await read())).toEqual(Array.from(before, (value) => 2 * value));
    }));

  it("follow an optimizer's updates, whether it writes them or not", () =>
    withModel(async (model, backend) => {
      const gradients = createGradients(model);
      const optimizer = createOptimizer(backend, model.layout, {
        ...{ kind: "adamw", beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1 },
      });
      const update = { values: model.arena, gradients: gradients.arena, learningRate: 0.01, gradScale: 1 };
      const fill = { y: { storage: gradients.arena.storage, offset: 0 }, n: model.layout.length, value: 1 };
      backend.run("fill", fill);
      const valuesOf = async (storage: Model["arena"]["storage"]) =>
        readTensor(backend, { storage, offset: 0, shape: [model.layout.decayed] });
      const upper = (value: number): number => {
        const bits = new Uint32Array(Float32Array.of(value).buffer)[0] as number;
        const rounded = ((bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000) >>> 0;
        return new Float32Array(Uint32Array.of(rounded).buffer)[0] as number;
      };
      for (const [i, rounded] of [model.rounded(), null].entries()) {
        optimizer.update({ ...update, step: i + 1, rounded });
        const copies = model.rounded();
        const expected = Array.from(await valuesOf(model.arena.storage), upper);
        expect(Array.from(await valuesOf(copies?.storage as never))).toEqual(expected);
      }
      optimizer.close();
      gradients.close();
    }));
});
