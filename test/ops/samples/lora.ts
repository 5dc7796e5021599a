import type { Context } from "#foretoken/autograd/context.js";
import type { Tensor } from "#foretoken/autograd/tensor.js";
import { type LoraOutputs, type LoraWeights, loraLinear, loraResidual, placeOutputs } from "#foretoken/ops/lora.js";
import { type OpSample, sampleDropout, sampleInput } from "./sample.ts";

/** Outputs of each part, and whether it has an adapter. */
type SampleParts = readonly (readonly [outputs: number, adapted: boolean])[];

const inputs = 5;
const rank = 2;

/** The adapters of a sample. Each pass computes B̃ again. */
const sampleLora = (
  context: Context,
  given: Readonly<Record<string, Tensor>>,
  parts: SampleParts,
  dropout: number,
): LoraWeights => {
  const { backend, memory } = context;
  const all = parts.reduce((sum, [outputs]) => sum + outputs, 0);
  const adapted: LoraOutputs[] = [];
  let first = 0;
  for (const [i, [outputs, isAdapted]] of parts.entries()) {
    if (isAdapted) adapted.push({ first, b: sampleInput(given, `b${i}`) });
    first += outputs;
  }
  const a = sampleInput(given, "a");
  const width = a.shape[0] ?? 0;
  const b = memory.allocate([all, width]);
  backend.run("fill", { y: b, n: all * width, value: 0 });
  placeOutputs(backend, adapted, b, width);
  return { a, parts: adapted, factors: () => ({ a, b }), scale: 1.5, dropout };
};

const sample = (name: string, parts: SampleParts, dropout: number, branch?: { readonly p: number }): OpSample => {
  const outputs = parts.reduce((sum, [n]) => sum + n, 0);
  const adapted = parts.flatMap(([n, isAdapted], i) => (isAdapted ? [[`b${i}`, [n, rank]] as const] : []));
  return {
    name,
    inputs: {
      x: [6, inputs],
      weight: [outputs, inputs],
      bias: [outputs],
      a: [rank * adapted.length, inputs],
      ...Object.fromEntries(adapted),
      ...(branch === undefined ? {} : { residual: [6, outputs] }),
    },
    run: (context, given) => {
      const dropping = { ...context, dropout: sampleDropout() };
      const x = sampleInput(given, "x");
      const weights = { weight: sampleInput(given, "weight"), bias: sampleInput(given, "bias") };
      const lora = sampleLora(context, given, parts, dropout);
      if (branch === undefined) return loraLinear(dropping, x, weights, lora);
      return loraResidual(dropping, x, weights, lora, sampleInput(given, "residual"), branch.p);
    },
  };
};

export const samples: readonly OpSample[] = [
  sample("one part", [[7, true]], 0),
  sample("three parts", [[4, true], [2, true], [3, true]], 0), // biome-ignore format: a line a sample
  sample("some parts, input dropped", [[4, false], [2, true], [3, true]], 0.3), // biome-ignore format: a line a sample
  sample("end of a branch", [[7, true]], 0, { p: 0 }),
  sample("end of a branch, all dropped at times", [[7, true]], 0.3, { p: 0.2 }),
];
