/**
 * y = x·keep / (1 − p), keep drawn with probability 1 − p
 *
 *   dx = dy·keep / (1 − p), with the same draw, of which the forward pass keeps a bit for each element
 *
 * Srivastava et al. 2014; as torch.nn.functional.dropout (other random numbers). No op of its own: it is a part of attention
 * and of what ends a branch (linear.ts).
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { RandomKey } from "../core/random.ts";

/** The kernel arguments that name one place's random numbers. */
export const dropoutArguments = (key: RandomKey, site: number) => ({
  key0: key[0] | 0,
  key1: key[1] | 0,
  key2: key[2] | 0,
  key3: key[3] | 0,
  site,
});

/** What one place drops, as kernels take it. */
export type Draw = ReturnType<typeof dropoutArguments> & { readonly p: number };

/** What of a branch's result was kept, as bits, for its gradient. */
export interface Dropped {
  readonly kept: Tensor;
  readonly p: number;
}

/** The next place's draw, each element with probability `p` in [0, 1); null in evaluation and where p is 0. */
export const drawDropout = ({ dropout }: Context, p: number): Draw | null =>
  dropout === null || p === 0 ? null : { ...dropoutArguments(dropout.key, dropout.nextSite()), p };
