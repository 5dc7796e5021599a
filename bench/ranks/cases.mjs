/**
 * The cases of scaling.mjs: models, batches, ranks and networks. The model of the step's time is fitted to some cases,
 * and checked on the other cases.
 */

/** Contexts are short, because the time of attention does not depend on the number of ranks. */
const contextLength = 64;

const shape = (nLayer, nHead, nEmbd) => ({ nLayer, nHead, nEmbd, contextLength });

/** The architecture of the reference model, in three sizes. */
export const models = /** @type {const} */ ({
  small: shape(4, 4, 128),
  middle: shape(6, 6, 192),
  large: shape(6, 6, 384),
});

/** Number of windows in a micro-batch, and number of micro-batches that a rank computes in a step. */
export const batches = /** @type {const} */ ({
  short: { batchSize: 6, passes: 1 },
  long: { batchSize: 12, passes: 2 },
});

const memory = { kind: "memory", gigabits: null, delayMicroseconds: 0 };
const tcp = (gigabits = null, delayMicroseconds = 0) => ({ kind: "tcp", gigabits, delayMicroseconds });

const dtypes = ["float32", "bfloat16"];

/**
 * @typedef {{ readonly model: keyof typeof models, readonly batch: keyof typeof batches, readonly dtype: string,
 *   readonly ranks: number, readonly network: import("./launch.mjs").Network, readonly fitted: boolean }} Case
 */

const across = (fitted, names, batchNames, ranks, networks) =>
  dtypes.flatMap((dtype) =>
    names.flatMap((model) =>
      batchNames.flatMap((batch) =>
        ranks.flatMap((number) => networks.map((network) => ({ model, batch, dtype, ranks: number, network, fitted }))),
      ),
    ),
  );

const both = ["short", "long"];

/**
 * The fit uses the small and the large model on 1 and 2 ranks, over shared memory, over TCP without a limit, and over
 * TCP with one bandwidth. The fit also uses the short step on 4 ranks without limits. The check uses all cases of the
 * middle model, all other cases on 4 ranks, two other bandwidths, and all cases with a delay.
 * @type {readonly Case[]}
 */
export const cases = [
  ...across(true, ["small", "large"], both, [1], [memory]),
  ...across(true, ["small", "large"], both, [2], [memory, tcp(), tcp(1)]),
  ...across(true, ["small", "large"], ["short"], [4], [memory, tcp()]),
  ...across(false, ["middle"], both, [1], [memory]),
  ...across(false, ["middle"], both, [2], [memory, tcp(), tcp(2), tcp(null, 2000)]),
  ...across(false, ["large"], both, [2], [tcp(4)]),
  ...across(false, ["large"], ["long"], [2], [tcp(2, 1000)]),
  ...across(false, ["small", "large"], ["long"], [4], [memory, tcp()]),
  ...across(false, ["middle"], both, [4], [tcp(1)]),
  ...across(false, ["large"], ["short"], [4], [tcp(2), tcp(1, 2000)]),
];

/** Identity of a case's measurement. */
export const keyOf = ({ model, batch, dtype, ranks, network }) =>
  [model, batch, dtype, ranks, network.kind, network.gigabits ?? "unlimited", network.delayMicroseconds].join(" ");
