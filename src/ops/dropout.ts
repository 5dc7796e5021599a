/**
 * y = x·keep / (1 − p), keep drawn with probability 1 − p
 *
 *   dx = dy·keep / (1 − p), with the same draw: it is a function of the key and the place, so it is made again
 *
 * Srivastava et al. 2014; as torch.nn.functional.dropout (other random numbers).
 */
import { type Context, dropoutSource } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { type RandomKey, randomKey } from "../core/random.ts";
import { sizeOf } from "../core/shape.ts";
import { type OpSample, sampleInput } from "./op.ts";

/** The kernel arguments that name one place's random numbers. */
export const dropoutArguments = (key: RandomKey, site: number) => ({
  key0: key[0] | 0,
  key1: key[1] | 0,
  key2: key[2] | 0,
  key3: key[3] | 0,
  site,
});

/** Drops each element with probability `p` in [0, 1). Returns x itself in evaluation and where p is 0. */
export const dropout = (context: Context, x: Tensor, p: number): Tensor => {
  const { backend, memory, tape } = context;
  if (context.dropout === null || p === 0) return x;
  const n = sizeOf(x.shape);
  const draw = dropoutArguments(context.dropout.key, context.dropout.nextSite());
  const y = memory.allocate(x.shape);
  backend.run("dropout", { x, y, n, ...draw, p });

  tape?.record(y, [x], [], (dy) => {
    const dx = memory.allocate(x.shape);
    backend.run("dropout", { x: dy, y: dx, n, ...draw, p });
    tape.accumulate(x, dx);
  });
  return y;
};

export const samples: readonly OpSample[] = [
  {
    name: "a fifth dropped",
    inputs: { x: [3, 47] },
    run: (context, inputs) =>
      dropout({ ...context, dropout: dropoutSource(randomKey(1, "dropout")) }, sampleInput(inputs, "x"), 0.2),
  },
];
