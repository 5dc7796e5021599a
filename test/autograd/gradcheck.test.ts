import { describe, expect, it } from "vitest";
import { type Context, dropoutSource } from "#foretoken/autograd/context.js";
import { type CheckedInput, checkGradients, describeCheck, errorRatio } from "#foretoken/autograd/gradcheck.js";
import type { Tensor } from "#foretoken/autograd/tensor.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { randomKey } from "#foretoken/core/random.js";
import { type Shape, sizeOf } from "#foretoken/core/tensors/shape.js";
import { type ModelConfig, rotaryDimOf } from "#foretoken/models/config.js";
import { modelLayout } from "#foretoken/models/model.js";
import { declareTransformer, logitsOf, transformer } from "#foretoken/models/transformer.js";
import { add } from "#foretoken/ops/add.js";
import { crossEntropy } from "#foretoken/ops/cross-entropy.js";
import { gelu } from "#foretoken/ops/gelu.js";
import { linear } from "#foretoken/ops/linear.js";
import { type RotaryScaling, rotaryAngles } from "#foretoken/ops/rotary.js";
import { opSamples } from "../ops/samples/all.ts";
import { hashInteger, hashSign, hashUniform } from "../support/hash.ts";
import { bookModel, groupedModel, qwen3Model } from "../support/models.ts";

const backend = await openReference({ real: "float64" });

const filled = (name: string, shape: Shape, scale = 2): CheckedInput => ({
  shape,
  data: Float64Array.from({ length: sizeOf(shape) }, (_, i) => scale * hashUniform(name, i)),
});
const cotangent = (i: number): number => hashUniform("cotangent", i);
/**
 * Weights for the elements of an input. No weight is near 0. So a wrong gradient of any element changes the weighted
 * sum.
 */
const along = (input: string, i: number): number =>
  hashSign(`along ${input}`, i) * (0.75 + hashUniform(`along ${input}`, i) / 4);

const anglesOf = ({ memory }: Context, config: ModelConfig) => {
  const { position, contextLength, window } = config;
  if (position.kind === "learned") return { main: null, window: null };
  const rotaryDim = rotaryDimOf(config, position);
  const shape = [contextLength, rotaryDim / 2];
  const table = (theta: number, scaling?: RotaryScaling) => {
    const { cos, sin } = rotaryAngles(contextLength, rotaryDim, theta, scaling);
    return { cos: memory.upload(cos, shape), sin: memory.upload(sin, shape) };
  };
  return {
    main: table(position.theta, position.scaling),
    window: window?.theta === undefined ? null : table(window.theta),
  };
};

describe("the tape's gradients are those of finite differences in float64:", () => {
  for (const [op, samples] of Object.entries(opSamples)) {
    for (const sample of samples) {
      it(`${op}, ${sample.name}`, async () => {
        const inputs = Object.fromEntries(
          Object.entries(sample.inputs).map(([name, shape]) => [name, filled(`${op} ${sample.name} ${name}`, shape)]),
        );
        const check = await checkGradients(backend, inputs, sample.run, cotangent);
        expect(check.elements).toBe(Object.values(sample.inputs).reduce((sum, shape) => sum + sizeOf(shape), 0));
        expect(check.wrong, describeCheck(check)).toBe(0);
      });
    }
  }

  const vocabSize = 7;
  const batch = 2;
  const tiny: ModelConfig = { ...bookModel, contextLength: 5, nEmbd: 8, nHead: 2, nLayer: 2 };
  const everything: ModelConfig = {
    ...tiny,
    bias: { qkv: true, projection: true, mlp: true },
    mlp: { kind: "gelu", approximate: "tanh", ratio: 2 },
    tieEmbeddings: true,
    dropout: 0.25,
  };
  const qwen3: ModelConfig = {
    ...qwen3Model,
    contextLength: 5,
    nEmbd: 8,
    nHead: 2,
    nLayer: 2,
    mlp: { kind: "swiglu", hidden: 6 },
    tieEmbeddings: true,
    dropout: 0.25,
  };
  const small = { contextLength: 5, nEmbd: 8, nLayer: 1, mlp: { kind: "swiglu", hidden: 6 } } as const;
  const partly = { kind: "rope", theta: 50, fraction: 0.5 } as const;
  for (const [name, config] of [
    ["as in the reference task", tiny],
    ["with dropout, every bias, tanh GELU and a tied head", everything],
    ["of Qwen3's shape, with a tied head", qwen3],
    ["without the mask", { ...tiny, mask: "none" }],
    ["with grouped queries and Llama's scaling", { ...groupedModel, ...small, headDim: 6, tieEmbeddings: true }],
    ["with one head of keys, of which a part is rotated", { ...small, ...qwen3, nKvHead: 1, position: partly }],
    [
      "with windows, two tables of angles, a layer without any, norms of all heads, and norms behind the branches",
      {
        ...{ ...small, ...qwen3, nLayer: 3, nHead: 4, nKvHead: 2, headDim: 4, dropout: 0.25 },
        ...{ qkNormWidth: "all", normPlacement: "after", window: { size: 2, fullEvery: 2, theta: 20 } },
        ...{ position: { kind: "rope", theta: 100, noneEvery: 3 }, attentionScale: 0.7 },
      },
    ],
    [
      "with GEGLU, norms around the branches and scaled token vectors in a tied head",
      {
        ...{ ...small, ...qwen3, normPlacement: "both", embeddingScale: 2.5 },
        mlp: { kind: "geglu", hidden: 6, approximate: "tanh" },
      },
    ],
    [
      "with squared ReLU, scaled token vectors beside positions, and layer norms around the branches",
      { ...everything, nLayer: 1, mlp: { kind: "relu2", ratio: 2 }, normPlacement: "both", embeddingScale: 0.5 },
    ],
    ["with GELU and layer norms behind the branches", { ...everything, nLayer: 1, normPlacement: "after" }],
  ] as const satisfies readonly (readonly [string, ModelConfig])[]) {
    it(`the loss of a whole transformer, ${name}`, async () => {
      const inputs = Object.fromEntries(
        modelLayout(config, vocabSize).parameters.map(({ name, shape }) => [name, filled(name, shape, 0.7)]),
      );
      const time = config.contextLength;
      const ids = Int32Array.from({ length: batch * time }, (_, i) => hashInteger("ids", i, vocabSize));
      const targets = Int32Array.from({ length: batch * time }, (_, i) => hashInteger("targets", i, vocabSize));
      const run = (given: Context, tensors: Readonly<Record<string, Tensor>>): Tensor => {
        const context = { ...given, dropout: dropoutSource(randomKey(3, "dropout")) };
        const declared = declareTransformer((spec) => tensors[spec.name] as Tensor, config, vocabSize);
        const parameters = { ...declared, angles: anglesOf(context, config) };
        const hidden = transformer(context, config, parameters, context.memory.upload(ids, [batch, time]));
        const logits = logitsOf(context, parameters, hidden);
        return crossEntropy(context, logits, context.memory.upload(targets, [batch, time]));
      };
      // Checks each parameter tensor as a whole. Searches for the wrong element only if a tensor is wrong.
      const check = await checkGradients(backend, inputs, run, () => 1, along);
      expect(check.elements).toBe(modelLayout(config, vocabSize).count);
      const single = check.wrong === 0 ? check : await checkGradients(backend, inputs, run, () => 1);
      expect(check.wrong, describeCheck(single)).toBe(0);
    });
  }
});

describe("the gradient check itself", () => {
  const inputs = { a: filled("a", [3, 4]), b: filled("b", [3, 4]) };
  const inputOf = (tensors: Readonly<Record<string, Tensor>>, name: string): Tensor => tensors[name] as Tensor;

  it("names the input whose gradient an op forgets", async () => {
    const forgetful = ({ backend, memory, tape }: Context, a: Tensor, b: Tensor): Tensor => {
      const y = memory.allocate(a.shape);
      backend.run("add", { a, b, y, n: sizeOf(a.shape) });
      tape?.record(y, [a, b], [], (dy) => tape.accumulate(a, memory.retain(dy)));
      return y;
    };
    const check = await checkGradients(
      backend,
      inputs,
      (context, tensors) => forgetful(context, inputOf(tensors, "a"), inputOf(tensors, "b")),
      cotangent,
    );
    expect(check.wrong).toBe(12);
    expect(check.worst.input).toBe("b");
    expect(check.worst.analytic).toBe(0);
  });

  it("names the one element that is wrong, by however little", async () => {
    const wrongElement = 5;
    const slightlyWrong = ({ backend, memory, tape }: Context, a: Tensor): Tensor => {
      const y = memory.allocate(a.shape);
      backend.run("copyRows", { x: a, y, rows: 1, width: 12, xStride: 12, yStride: 12 });
      tape?.record(y, [a], [], (dy) => {
        const error = new Float64Array(12);
        error[wrongElement] = 1e-7;
        const da = memory.upload(error, a.shape);
        backend.run("add", { a: da, b: dy, y: da, n: 12 });
        tape.accumulate(a, da);
      });
      return y;
    };
    const check = await checkGradients(
      backend,
      { a: inputs.a },
      (context, tensors) => slightlyWrong(context, inputOf(tensors, "a")),
      cotangent,
    );
    expect(check).toMatchObject({ elements: 12, wrong: 1, worst: { input: "a", index: wrongElement } });
    expect(describeCheck(check)).toMatch(/^1 of 12 elements are wrong; worst a\[5\]: tape .*, differences .* ± /);
    // The error also changes the weighted sum of all elements.
    const together = await checkGradients(
      backend,
      { a: inputs.a },
      (context, tensors) => slightlyWrong(context, inputOf(tensors, "a")),
      cotangent,
      along,
    );
    expect(together).toMatchObject({ elements: 12, wrong: 1, worst: { input: "a" } });
  });

  it("tells the two forms of GELU apart, and a NaN from a number", async () => {
    const mixed = ({ backend, memory, tape }: Context, x: Tensor): Tensor => {
      const y = memory.allocate(x.shape);
      backend.run("geluForward", { x, y, n: 12, tanh: 0 });
      tape?.record(y, [x], [], (dy) => {
        const dx = memory.allocate(x.shape);
        backend.run("geluBackward", { x, dy, dx, n: 12, tanh: 1 });
        tape.accumulate(x, dx);
      });
      return y;
    };
    const check = await checkGradients(backend, { a: inputs.a }, (c, t) => mixed(c, inputOf(t, "a")), cotangent);
    expect(check.wrong).toBeGreaterThan(6);
    expect(errorRatio({ input: "a", index: 0, analytic: Number.NaN, numeric: 0, tolerance: 1 })).toBe(
      Number.POSITIVE_INFINITY,
    );
  });

  it("follows a tensor that is used many times, and leaves unused inputs at zero", async () => {
    const check = await checkGradients(
      backend,
      inputs,
      (context, tensors) => {
        const a = inputOf(tensors, "a");
        const twice = add(context, gelu(context, a, "none"), a);
        return add(context, add(context, twice, a), gelu(context, twice, "none"));
      },
      cotangent,
    );
    expect(check.wrong, describeCheck(check)).toBe(0);
  });

  it("does not let one tensor's gradient spoil another's that begins as the same array", async () => {
    const square = { a: filled("a", [3, 3]), b: filled("b", [3, 3]) };
    const uses = {
      // At the second use, the gradient is either a new gradient from the tape, or it is added to the existing gradient
      // without the tape.
      gelu: (context: Context, _: Tensor, z: Tensor): Tensor => gelu(context, z, "none"),
      linear: (context: Context, a: Tensor, z: Tensor): Tensor => linear(context, a, { weight: z, bias: null }),
    };
    for (const [name, secondUse] of Object.entries(uses)) {
      const run = (context: Context, tensors: Readonly<Record<string, Tensor>>): Tensor => {
        const a = inputOf(tensors, "a");
        const p = gelu(context, a, "none");
        const z = gelu(context, inputOf(tensors, "b"), "none");
        const m = secondUse(context, a, z);
        // In the backward pass, z, p and m get the cotangent as one shared array. More gradients are added to z while p
        // still waits.
        return add(context, add(context, z, p), m);
      };
      const check = await checkGradients(backend, square, run, cotangent);
      expect(check.wrong, `${name}: ${describeCheck(check)}`).toBe(0);
    }
  });

  it("refuses a backend that computes in float32", async () => {
    const single = await openReference();
    await expect(checkGradients(single, inputs, (c, t) => gelu(c, inputOf(t, "a"), "none"), cotangent)).rejects.toThrow(
      "checkGradients: the backend must compute in float64; got float32",
    );
  });
});
