import type { Context, DropoutSource } from "./context.ts";
import type { Tensor } from "./tensor.ts";

/** Numbers a source's places, and keeps the numbers. */
const noting = (source: DropoutSource, sites: number[]): DropoutSource => ({
  key: source.key,
  nextSite() {
    const site = source.nextSite();
    sites.push(site);
    return site;
  },
});

/** Gives the kept numbers again, in order. */
const repeating = (source: DropoutSource, sites: readonly number[]): DropoutSource => {
  let used = 0;
  return {
    key: source.key,
    nextSite() {
      const site = sites[used++];
      if (site === undefined) throw new Error("work that is repeated must drop at the same places");
      return site;
    },
  };
};

/**
 * Computes `work(x)` and keeps only x of it. The backward pass computes it again, with its temporaries, when it comes to it:
 * about one more forward pass in time for the activations of one such part at a time in memory, in place of those of all
 * parts. Outputs and gradients have the same bits as without. (Chen et al. 2016, "Training Deep Nets with Sublinear Memory
 * Cost"; as torch.utils.checkpoint.)
 * @param x a temporary of the context.
 * @param work the same each time: a function of x and of weights. It drops at the same places when it is repeated.
 */
export const recomputed = (context: Context, x: Tensor, work: (context: Context, x: Tensor) => Tensor): Tensor => {
  const { memory, tape, dropout } = context;
  if (tape === null) return work(context, x);
  const sites: number[] = [];
  const y = work({ ...context, tape: null, widens: true, dropout: dropout && noting(dropout, sites) }, x);
  tape.recordAgain(y, [memory.retain(x)], () => work({ ...context, dropout: dropout && repeating(dropout, sites) }, x));
  return y;
};
