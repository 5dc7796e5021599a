/**
 * y = x·keep / (1 − p), keep drawn with probability 1 − p
 *
 *   dx = dy·keep / (1 − p), with the same draw
 *
 * The forward pass saves one bit per element. Source: Srivastava et al. 2014. The function equals
 * torch.nn.functional.dropout, but draws other random numbers. Dropout is not a separate op. It is a part of attention
 * and of the end of a branch (linear.ts).
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { RandomKey } from "../core/random.ts";

/** Kernel arguments that identify the random numbers of one dropout place. */
export const dropoutArguments = (key: RandomKey, site: number) => ({
  key0: key[0] | 0,
  key1: key[1] | 0,
  key2: key[2] | 0,
  key3: key[3] | 0,
  site,
});

/** Kernel arguments for one dropout place. */
export type Draw = ReturnType<typeof dropoutArguments> & { readonly p: number };

/** The dropout mask at the end of a branch. The mask is saved as bits for the backward pass. */
export interface Dropped {
  readonly kept: Tensor;
  readonly p: number;
}

/**
 * Returns the random draw for the next dropout place, with probability `p` in [0, 1) for each element. Null in
 * evaluation, or if p is 0.
 */
export const drawDropout = ({ dropout }: Context, p: number): Draw | null =>
  dropout === null || p === 0 ? null : { ...dropoutArguments(dropout.key, dropout.nextSite()), p };
