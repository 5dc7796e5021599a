import { readFileSync } from "node:fs";
import { it } from "vitest";
import { trainingContext, withContext } from "#foretoken/autograd/context.js";
import { readTensor } from "#foretoken/autograd/tensor.js";
import { packedWidth } from "#foretoken/backend/kernels/sizes.js";
import { epsilon } from "#foretoken/core/tensors/dtype.js";
import { readSafetensors } from "#foretoken/io/safetensors.js";
import { causalAttention, type Heads } from "#foretoken/ops/causal-attention.js";
import { forEachBackend } from "../support/backends.ts";
import { expectClose, furthest, largest } from "../support/closeness.ts";
import { hashUniform } from "../support/hash.ts";

interface Fixture {
  readonly torch: string;
  readonly shape: Heads & { readonly time: number };
  readonly window: number;
  readonly scale: number;
}

const fileOf = (name: string): URL => new URL(`../fixtures/${name}`, import.meta.url);
const { torch, shape, window, scale } = JSON.parse(readFileSync(fileOf("attention.json"), "utf8")) as Fixture;
const { tensors } = readSafetensors(readFileSync(fileOf("attention.safetensors")), "attention.safetensors");
const wanted = (name: string): Float32Array => tensors.get(name)?.data ?? new Float32Array(0);

const hashed = (name: string, length: number, factor = 1): Float32Array =>
  Float32Array.from({ length }, (_, i) => factor * hashUniform(name, i));

forEachBackend("attention with a window", ({ open }) => {
  it(`gives the output and the gradients of PyTorch ${torch}`, async () => {
    const { time, heads, headDim } = shape;
    const width = packedWidth(shape);
    const backend = await open(2);
    await withContext(trainingContext(backend, null), async (context) => {
      const { memory, tape } = context;
      const qkv = memory.upload(hashed("qkv", time * width, 3), [1, time, width]);
      const gradient = memory.upload(new Float32Array(time * width), [1, time, width]);
      tape.watch(qkv, gradient);
      const out = causalAttention(context, qkv, shape, { window, scale });
      const found = Float32Array.from(await readTensor(backend, out));
      const outShape = [1, time, heads * headDim];
      tape.backward(out, memory.upload(hashed("dOut", time * heads * headDim), outShape));
      const gradients = Float32Array.from(await readTensor(backend, gradient));
      // A query sees `window` keys. The error of a weight is the error of its score, which is a sum of `headDim`
      // products below 9. A sum over keys or queries has `window` terms.
      const error = epsilon.float32 * (2 * window + 9 * headDim);
      expectClose("attention with a window", [
        furthest("out", found, wanted("out"), error * largest(wanted("out"))),
        furthest("gradient", gradients, wanted("gradient"), 4 * error * largest(wanted("gradient"))),
      ]);
    });
    await backend.close();
  });
});
