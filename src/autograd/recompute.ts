import type { Context, DropoutSource } from "./context.ts";
import type { Tensor } from "./tensor.ts";

/** Takes dropout places from a source and saves the numbers of the places. */
const noting = (source: DropoutSource, sites: number[]): DropoutSource => ({
  key: source.key,
  nextSite() {
    const site = source.nextSite();
    sites.push(site);
    return site;
  },
});

/** Returns the saved numbers of the places again, in order. */
const repeating = (source: DropoutSource, sites: readonly number[]): DropoutSource => {
  let used = 0;
  return {
    key: source.key,
    nextSite() {
      const site = sites[used++];
      if (site === undefined) throw new Error("repeated work must use the same dropout places");
      return site;
    },
  };
};

/**
 * Computes `work(x)` but keeps only x. When the backward pass needs the temporaries of `work(x)`, it computes `work(x)`
 * again. Recomputation takes about the time of one more forward pass. It saves memory, because only one part of a model
 * keeps its activations at a time. Recomputation does not change the bits of outputs and gradients. (Chen et al. 2016,
 * "Training Deep Nets with Sublinear Memory Cost"; as torch.utils.checkpoint.)
 * @param x a temporary of the context.
 * @param work a function of x and of weights that always computes the same values. A repeated call gets the same
 * dropout places.
 */
export const recomputed = (context: Context, x: Tensor, work: (context: Context, x: Tensor) => Tensor): Tensor => {
  const { memory, tape, dropout } = context;
  if (tape === null) return work(context, x);
  const sites: number[] = [];
  const y = work({ ...context, tape: null, widens: true, dropout: dropout && noting(dropout, sites) }, x);
  tape.recordAgain(y, [memory.retain(x)], () => work({ ...context, dropout: dropout && repeating(dropout, sites) }, x));
  return y;
};
