import { crossEntropy as referenceLoss } from "#foretoken/backend/implementations/reference/cross-entropy.js";
import type { Samples } from "../sample.ts";
import { blank, edgeLengths, nans, noise, rounded, spoiled } from "../sample.ts";
import { modelLogits } from "./layers.ts";

const { normals, integers } = noise(3);

const lossSizes = [
  [0, 4],
  [1, 1],
  [2, 2],
  [15, 17],
  [17, 16],
  [31, 15],
  [33, 65],
  [64, 63],
  [65, 129],
  [129, 128],
  [700, 65],
  [3, 1000],
  [2, 50_257],
] as const;

const spread = (logits: Float64Array, values: readonly number[]): Float64Array =>
  logits.map((v, i) => Math.fround(v * (values[i % values.length] as number)));

const withTarget = (targets: Int32Array, row: number, target: number): Int32Array => {
  const copy = targets.slice();
  copy[row] = target;
  return copy;
};

const losses = [
  ...lossSizes.map(([rows, vocabSize]) => ({
    name: `rows=${rows} V=${vocabSize}`,
    numbers: { rows, columns: vocabSize, first: 0, vocabSize },
    logits: modelLogits(rows, vocabSize),
    targets: integers(rows, vocabSize).map((t, i) => (i % 5 === 3 ? (i % 2 === 0 ? -1 : -100) : t)),
  })),
  ...(
    [
      ["all ignored", modelLogits(9, 65), new Int32Array(9).fill(-1)],
      ["large logits", normals(9 * 65, 1e4), integers(9, 65)],
      ["far from zero", normals(9 * 65, 1, 1e4), integers(9, 65)],
      ["huge logits", normals(9 * 65, 1e30), integers(9, 65)],
      ["tiny logits", normals(9 * 65, 1e-30), integers(9, 65)],
      ["mixed magnitudes", spread(normals(9 * 65), [1e-20, 1, 50]), integers(9, 65)],
      ["minus infinity", normals(9 * 65).map((v, i) => (i % 3 === 1 ? -Infinity : v)), new Int32Array(9)],
      ["NaN in one row", spoiled(normals(9 * 65), 2 * 65 + 33), integers(9, 65)],
      ["NaN in the last column", spoiled(normals(9 * 65), 2 * 65 + 64), integers(9, 65)],
      ["NaN in an ignored row", spoiled(normals(9 * 65), 2 * 65 + 7), withTarget(integers(9, 65), 2, -1)],
    ] as const
  ).map(([name, logits, targets]) => ({
    name,
    numbers: { rows: 9, columns: 65, first: 0, vocabSize: 65 },
    logits,
    targets,
  })),
];

/** Columns [first, first + columns) of rows of length `width`. */
const columnsOf = (values: Float64Array, width: number, first: number, columns: number): Float64Array =>
  values.filter((_, i) => i % width >= first && i % width < first + columns);

/** Intermediate results of the columns before `first`. */
const soFar = (logits: Float64Array, targets: Int32Array, first: number, vocabSize: number) => {
  const rows = targets.length;
  const losses = nans(rows);
  const logSumExp = nans(rows);
  if (first > 0) {
    const earlier = columnsOf(logits, vocabSize, 0, first);
    const numbers = { rows, columns: first, first: 0, vocabSize };
    referenceLoss.crossEntropyForward({ logits: earlier, targets, losses, logSumExp, ...numbers });
  }
  return { losses: rounded(losses), logSumExp: rounded(logSumExp) };
};

const noColumns = (logits: Float64Array, vocabSize: number, first: number, end: number): Float64Array =>
  logits.map((v, i) => (i % vocabSize >= first && i % vocabSize < end ? -Infinity : v));

/**
 * A vocabulary that is divided into ranges: the first range, a middle range and the last range. For each range, some
 * targets are inside and some are outside.
 */
const ranges = (
  [
    ["", modelLogits(40, 200), integers(40, 200).map((t, i) => (i % 7 === 3 ? -1 : t))],
    ["far from zero, ", normals(40 * 200, 1, 1e4), integers(40, 200)],
    ["no power in the first range, ", noColumns(normals(40 * 200), 200, 0, 70), integers(40, 130).map((t) => t + 70)],
    ["no power in the second range, ", noColumns(normals(40 * 200), 200, 70, 135), integers(40, 70)],
  ] as const
).flatMap(([name, logits, targets]) =>
  (
    [
      [0, 70],
      [70, 65],
      [135, 65],
    ] as const
  ).map(([first, columns]) => ({
    name: `${name}columns ${first} to ${first + columns - 1} of 200`,
    numbers: { rows: 40, columns, first, vocabSize: 200 },
    all: logits,
    logits: columnsOf(logits, 200, first, columns),
    targets,
    ...soFar(logits, targets, first, 200),
  })),
);

export const crossEntropy: Samples<"crossEntropyForward" | "crossEntropyBackward"> = {
  crossEntropyForward: [
    ...losses.map(({ name, numbers, logits, targets }) => ({
      name,
      numbers,
      buffers: { logits, targets, losses: nans(numbers.rows), logSumExp: nans(numbers.rows) },
    })),
    ...ranges.map(({ name, numbers, logits, targets, losses, logSumExp }) => ({
      name,
      numbers,
      buffers: { logits, targets, losses, logSumExp },
    })),
  ],

  crossEntropyBackward: [...losses.map((one) => ({ ...one, all: one.logits })), ...ranges].map((one) => {
    const { name, numbers, logits, targets } = one;
    const { rows, vocabSize } = numbers;
    const logSumExp = new Float64Array(rows);
    const unused = new Float64Array(rows);
    const whole = { rows, columns: vocabSize, first: 0, vocabSize };
    referenceLoss.crossEntropyForward({ logits: one.all, targets, losses: unused, logSumExp, ...whole });
    return {
      name,
      numbers,
      buffers: { logits, targets, logSumExp: rounded(logSumExp), dLoss: rounded([0.7]), dLogits: blank },
    };
  }),
};

const plain = {
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  stepSize: 1e-3,
  sqrtCorrection2: 1,
  decayFactor: 1,
  coupledDecay: 0,
  gradScale: 1,
};

const optimizerState = (n: number) =>
  ({
    param: normals(n),
    grad: normals(n, 0.1),
    m: normals(n, 0.1),
    v: normals(n, 0.1).map((x) => Math.fround(x * x)),
    rounded: blank,
    unreal: rounded([0]),
  }) as const;

const firstStep = { stepSize: 1e-3 / (1 - 0.9), sqrtCorrection2: Math.sqrt(1 - 0.999) };

export const adam: Samples<"adamStep"> = {
  adamStep: [
    ...[0, ...edgeLengths, 1000, 20_011].map((n) => ({
      name: `n=${n}`,
      numbers: { n, ...plain },
      buffers: optimizerState(n),
    })),
    {
      name: "no copy",
      numbers: { n: 100, ...plain },
      buffers: { ...optimizerState(100), rounded: null },
    },
    {
      name: "first step",
      numbers: { n: 100, ...plain, ...firstStep },
      buffers: { ...optimizerState(100), m: new Float64Array(100), v: new Float64Array(100) },
    },
    {
      name: "first step, no gradient",
      numbers: { n: 40, ...plain, ...firstStep },
      buffers: {
        param: normals(40),
        grad: new Float64Array(40),
        m: new Float64Array(40),
        v: new Float64Array(40),
        rounded: blank,
        unreal: null,
      } as const,
    },
    {
      name: "decoupled decay, clipped",
      numbers: { n: 100, ...plain, beta2: 0.95, decayFactor: 1 - 3e-4 * 0.1, gradScale: 0.0123 },
      buffers: optimizerState(100),
    },
    {
      name: "coupled decay",
      numbers: { n: 100, ...plain, coupledDecay: 0.1, gradScale: 0.5 },
      buffers: optimizerState(100),
    },
    {
      name: "a gradient that is NaN",
      numbers: { n: 70, ...plain },
      buffers: { ...optimizerState(70), grad: spoiled(normals(70), 37) },
    },
    ...(["param", "m", "v"] as const).flatMap((name) =>
      [0, 37, 64, 20_001].map((place) => ({
        name: `${name} that is infinite at ${place} of ${place + 6}`,
        numbers: { n: place + 6, ...plain },
        buffers: {
          ...optimizerState(place + 6),
          [name]: optimizerState(place + 6)[name].map((x, i) => (i === place ? Infinity : x)),
        },
      })),
    ),
    {
      name: "an infinite step",
      numbers: { n: 70, ...plain, stepSize: Infinity },
      buffers: optimizerState(70),
    },
    {
      name: "not finite before",
      numbers: { n: 70, ...plain },
      buffers: { ...optimizerState(70), unreal: rounded([1]) },
    },
    {
      name: "tiny gradients",
      numbers: { n: 100, ...plain, ...firstStep },
      buffers: {
        ...optimizerState(100),
        grad: normals(100, 1e-12),
        m: new Float64Array(100),
        v: new Float64Array(100),
      },
    },
  ],
};
