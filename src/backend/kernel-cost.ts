/**
 * What a call of a kernel comes to, counted from its sizes: arithmetic of products and bytes of memory. From these and a
 * time follow the rates that `profiled` and the benchmarks show.
 */
import { bytesPerElement } from "../core/dtype.ts";
import type { View } from "./backend.ts";
import { kernelPlans } from "./check.ts";
import type { KernelArgs, KernelName, KernelTable } from "./kernels.ts";
import type { Numbers } from "./signature.ts";

/** What one call comes to. */
export interface KernelCost {
  /** A multiplication and an addition are two. 0 for kernels whose time is that of their bytes. */
  readonly flops: number;
  /** Bytes of elements that the call needs, each once: with `written`, the least that memory must move. */
  readonly read: number;
  readonly written: number;
}

type Sizes<K extends KernelName> = Numbers<KernelTable[K]["ints"][number]>;

/** Memory decides: the arithmetic is hidden behind the bytes. */
const memory = (): number => 0;

const product = ({ m, n, k }: Numbers<"m" | "n" | "k">): number => 2 * m * n * k;

/** Pairs of a query and a key that it sees, times D: what one of attention's products multiplies. */
const attended = (s: Sizes<"attentionForward">): number => {
  const seen = s.causal === 1 ? s.start + (s.queries + 1) / 2 : s.start + s.queries;
  return s.batch * s.heads * s.queries * seen * s.headDim;
};

const flopsOf: { readonly [K in KernelName]: (sizes: Sizes<K>) => number } = {
  fill: memory,
  add: memory,
  combine: memory,
  copyRows: memory,
  sum: memory,
  sumOfSquares: memory,
  scaleByNorm: memory,
  embeddingForward: memory,
  embeddingBackward: memory,
  linearForward: product,
  linearGeluForward: product,
  linearDropoutForward: product,
  linearBackwardInput: product,
  linearDropoutBackwardInput: product,
  linearBackwardWeight: product,
  layerNormForward: memory,
  layerNormBackward: memory,
  rmsNormForward: memory,
  rmsNormBackward: memory,
  rotaryForward: memory,
  rotaryBackward: memory,
  geluForward: memory,
  geluBackward: memory,
  swigluForward: memory,
  swigluBackward: memory,
  /** Scores and mixing. */
  attentionForward: (sizes) => 4 * attended(sizes),
  /** Scores again, and the gradients of weights, q, k and v. */
  attentionBackward: (sizes) => 10 * attended(sizes),
  crossEntropyForward: memory,
  crossEntropyBackward: memory,
  adamStep: memory,
};

/** Elements touched in buffers of which a call does not touch all, by name; the rest as `lengths` has them. */
type Touched<K extends KernelName> = (sizes: Sizes<K>) => {
  readonly [N in keyof KernelTable[K]["buffers"]]?: number;
};

const queriesOf = (s: Sizes<"attentionForward">): number => s.batch * s.queries * s.heads * s.headDim;
const keysOf = (s: Sizes<"attentionForward">): number => s.batch * (s.start + s.queries) * s.heads * s.headDim;

/** A row that several positions share is fetched once, at best. */
const gathered = (s: Sizes<"embeddingForward">) => ({
  tokens: Math.min(s.rows, s.vocabSize) * s.channels,
  positions: Math.min(s.rows, s.time) * s.channels,
});

const touchedOf: { readonly [K in KernelName]?: Touched<K> } = {
  copyRows: ({ rows, width }) => ({ x: rows * width, y: rows * width }),
  embeddingForward: gathered,
  embeddingBackward: (s) => {
    const { tokens, positions } = gathered(s);
    return { dTokens: tokens, dPositions: positions };
  },
  rotaryForward: ({ time, headDim }) => ({ cos: (time * headDim) / 2, sin: (time * headDim) / 2 }),
  rotaryBackward: ({ time, headDim }) => ({ cos: (time * headDim) / 2, sin: (time * headDim) / 2 }),
  attentionForward: (s) => ({ q: queriesOf(s), k: keysOf(s), v: keysOf(s) }),
  attentionBackward: (s) => ({
    q: queriesOf(s),
    k: keysOf(s),
    v: keysOf(s),
    dq: queriesOf(s),
    dk: keysOf(s),
    dv: keysOf(s),
  }),
};

/** Outputs that are written in part have access "inout", so that what is beside stays: they are not read. */
const writtenOnly: ReadonlySet<string> = new Set([
  "combine.unreal",
  "copyRows.y",
  "attentionForward.kept",
  "attentionBackward.dq",
  "attentionBackward.dk",
  "attentionBackward.dv",
  "adamStep.unreal",
]);

/** Outputs that are read only where the call's `add` is 1. */
const addedWhereTold: ReadonlySet<string> = new Set([
  "linearBackwardInput.dx",
  "linearBackwardWeight.dw",
  "layerNormBackward.dx",
  "rmsNormBackward.dx",
]);

/**
 * The cost of one call with checked arguments. Bytes follow from the element types of the buffers that are given; what a
 * kernel keeps for itself while it computes does not count.
 */
export const kernelCost = <K extends KernelName>(kernel: K, args: KernelArgs<K, View>): KernelCost => {
  const { buffers, lengths } = kernelPlans[kernel];
  const given = args as Readonly<Record<string, unknown>>;
  const sizes = args as Sizes<K>;
  const whole = lengths(given as Readonly<Record<string, number>>);
  const touched = touchedOf[kernel] as Touched<K> | undefined;
  const part = (touched?.(sizes) ?? {}) as Readonly<Record<string, number | undefined>>;
  let read = 0;
  let written = 0;
  for (const [name, { access }] of buffers) {
    const view = given[name] as View | null | undefined;
    if (view === null || view === undefined) continue;
    const buffer = `${kernel}.${name}`;
    const onlyWritten = writtenOnly.has(buffer) || (addedWhereTold.has(buffer) && given.add === 0);
    const bytes = (part[name] ?? whole[name] ?? 0) * bytesPerElement[view.storage.dtype];
    if (access !== "out" && !onlyWritten) read += bytes;
    if (access !== "in") written += bytes;
  }
  return { flops: flopsOf[kernel](sizes), read, written };
};
