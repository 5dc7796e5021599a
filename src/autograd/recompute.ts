import type { Context, DropoutSource } from "./context.ts";
import type { Tensor } from "./tensor.ts";

/** Draws dropout places from a source and saves their numbers. */
const noting = (source: DropoutSource, sites: number[]): DropoutSource => ({
  key: source.key,
  nextSite() {
    const site = source.nextSite();
    sites.push(site);
    return site;
  },
});

/** Returns the saved numbers again, in order. */
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
 * Computes `work(x)` but keeps only x. The backward pass computes `work(x)` again, with its temporaries, when it needs
 * them. This costs about one more forward pass in time. It saves memory, because only one such part holds its
 * activations at a time. Outputs and gradients have the same bits as without it. (Chen et al. 2016, "Training Deep Nets
 * with Sublinear Memory Cost"; as torch.utils.checkpoint.)
 * @param x a temporary of the context.
 * @param work a function of x and of weights that always does the same. When it is repeated it gets the same dropout
 * places.
 */
export const recomputed = (context: Context, x: Tensor, work: (context: Context, x: Tensor) => Tensor): Tensor => {
  const { memory, tape, dropout } = context;
  if (tape === null) return work(context, x);
  const sites: number[] = [];
  const y = work({ ...context, tape: null, widens: true, dropout: dropout && noting(dropout, sites) }, x);
  tape.recordAgain(y, [memory.retain(x)], () => work({ ...context, dropout: dropout && repeating(dropout, sites) }, x));
  return y;
};
