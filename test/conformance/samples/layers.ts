import { asGiven } from "#foretoken/backend/implementations/reference/host-args.js";
import { layerNorm as referenceNorm } from "#foretoken/backend/implementations/reference/layer-norm.js";
import { products } from "#foretoken/backend/implementations/reference/products.js";
import type { Samples } from "../sample.ts";
import { blank, nans, noise, rounded, spoiled } from "../sample.ts";

const { normals, integers } = noise(2);

const productSizes = [
  [0, 4, 4],
  [1, 1, 1],
  [2, 3, 5],
  [1, 65, 128],
  [2, 16, 16],
  [15, 16, 17],
  [16, 17, 15],
  [17, 15, 16],
  [31, 32, 33],
  [32, 33, 31],
  [33, 31, 32],
  [63, 64, 65],
  [64, 65, 63],
  [65, 63, 127],
  [127, 129, 128],
  [128, 127, 129],
  [129, 128, 1],
  [129, 1, 64],
  [3, 5, 1000],
  [70, 600, 260],
  [600, 70, 33],
  [33, 70, 1100],
  // Sizes that exceed the largest blocks of a product: 2,048 terms of a sum, and the maximum number of columns for a
  // sum of this length.
  [3, 530, 2100],
  [3, 2100, 530],
  [2100, 5, 530],
  // A product of such a size with many rows.
  [520, 12, 2100],
] as const;

/** Sizes for epilogues: full and partial tiles, few rows, several pieces of a sum, and several chunks. */
const epilogueSizes: readonly (readonly [number, number, number])[] = [
  [0, 4, 4],
  [1, 1, 1],
  [1, 65, 128],
  [17, 15, 16],
  [33, 31, 32],
  [64, 65, 63],
  [33, 70, 300],
  [70, 600, 33],
];

/**
 * Whether a sample is so large that it would take most of the suite's time. Such a sample is tested only with a bias.
 */
const isLarge = ([m, n, k]: readonly [number, number, number]): boolean => Math.max(m * n, n * k, m * k) > 500_000;

const productName = ([m, n, k]: readonly [number, number, number]): string => `m=${m} n=${n} k=${k}`;

/** Values of h: zeros, a grid over the range that matters for GELU, and values beyond both ends. */
const preActivations = rounded([
  ...Array.from({ length: 2001 }, (_, i) => -12 + (24 * i) / 2000),
  ...[0, 1e-45, 1e-30, 1e-4, 13, 20, 1e4, 1e15, 1e30, 3e38].flatMap((h) => [h, -h]),
]);

/** The sizes for epilogues, sizes with rows that share no block of a mask, and sizes with many rows. */
const dropoutSizes = [...epilogueSizes, [5, 64, 17], [70, 128, 96], [600, 192, 40], [550, 96, 70]] as const;
/** Space for n bits, filled with arbitrary bits. */
const anyBits = (n: number): Int32Array => integers(Math.ceil(n / 32), 2 ** 32);

const key = { key0: 123456789, key1: -5, key2: 3, key3: 77, site: 9 };

export const linear: Samples<
  | "linearForward"
  | "linearGeluForward"
  | "linearDropoutForward"
  | "linearBackwardInput"
  | "linearDropoutBackwardInput"
  | "linearBackwardWeight"
> = {
  linearForward: [
    ...productSizes.flatMap((size) => {
      const [m, n, k] = size;
      const x = normals(m * k);
      const w = normals(n * k);
      return (isLarge(size) ? [normals(n)] : [normals(n), null]).map((bias) => ({
        name: bias === null ? `${productName(size)}, no bias` : productName(size),
        numbers: { m, n, k },
        buffers: { x, w, bias, addend: null, y: blank } as const,
      }));
    }),
    ...epilogueSizes.map((size) => {
      const [m, n, k] = size;
      return {
        name: `${productName(size)}, with an addend`,
        numbers: { m, n, k },
        buffers: {
          x: normals(m * k),
          w: normals(n * k),
          bias: normals(n),
          addend: normals(m * n),
          y: blank,
        } as const,
      };
    }),
    {
      name: "NaN in x and w",
      numbers: { m: 19, n: 35, k: 40 },
      buffers: {
        x: spoiled(normals(760), 200),
        w: spoiled(normals(1400), 500),
        bias: normals(35),
        addend: null,
        y: blank,
      },
    },
    {
      name: "magnitudes from 1e-20 to 1e15",
      numbers: { m: 3, n: 5, k: 18 },
      buffers: { x: normals(54, 1e15), w: normals(90, 1e-20), bias: normals(5, 1e-5), addend: null, y: blank },
    },
  ],

  linearGeluForward: [0, 1].flatMap((tanh) => [
    ...epilogueSizes.flatMap((size) => {
      const [m, n, k] = size;
      const x = normals(m * k, 1 / Math.sqrt(k));
      const w = normals(n * k);
      const numbers = { m, n, k, tanh };
      const name = `${productName(size)}, tanh=${tanh}`;
      return [
        { name, numbers, buffers: { x, w, bias: normals(n), y: blank, slope: blank } as const },
        { name: `${name}, no slope`, numbers, buffers: { x, w, bias: null, y: blank, slope: null } as const },
      ];
    }),
    {
      // The inputs x are 0 here, so h equals the bias exactly.
      name: `grid, tanh=${tanh}`,
      numbers: { m: 2, n: preActivations.length, k: 1, tanh },
      buffers: {
        x: new Float64Array(2),
        w: normals(preActivations.length),
        bias: preActivations,
        y: blank,
        slope: blank,
      } as const,
    },
    {
      name: `NaN in x and w, tanh=${tanh}`,
      numbers: { m: 19, n: 35, k: 40, tanh },
      buffers: {
        x: spoiled(normals(760), 200),
        w: spoiled(normals(1400), 500),
        bias: normals(35),
        y: blank,
        slope: blank,
      } as const,
    },
  ]),

  linearDropoutForward: [
    ...dropoutSizes.flatMap((size) =>
      [0.1, 0.5].map((p) => {
        const [m, n, k] = size;
        return {
          name: `${productName(size)}, p=${p}`,
          numbers: { m, n, k, ...key, p },
          buffers: {
            x: normals(m * k),
            w: normals(n * k),
            bias: p === 0.1 ? normals(n) : null,
            addend: normals(m * n),
            kept: blank,
            y: blank,
          } as const,
        };
      }),
    ),
    ...[
      { p: 0, ...key },
      { p: 0.9, ...key, key0: 0, key1: 0, site: 0 },
      { p: 0.1, ...key, key3: 2147483647 },
    ].map((draw) => ({
      name: `p=${draw.p}, site=${draw.site}`,
      numbers: { m: 9, n: 70, k: 12, ...draw },
      buffers: { x: normals(108), w: normals(840), bias: null, addend: normals(630), kept: blank, y: blank } as const,
    })),
    {
      name: "NaN in x and w",
      numbers: { m: 19, n: 35, k: 40, ...key, p: 0.5 },
      buffers: {
        x: spoiled(normals(760), 200),
        w: spoiled(normals(1400), 500),
        bias: normals(35),
        addend: normals(665),
        kept: blank,
        y: blank,
      },
    },
  ],

  linearBackwardInput: [
    ...productSizes.map((size) => ({ size, scaled: false, add: 0 })),
    ...epilogueSizes.map((size) => ({ size, scaled: true, add: 0 })),
    // With the last size, a sum has several pieces, and partial sums are stored between the pieces.
    ...[...epilogueSizes, [3, 2100, 530] as const].map((size) => ({ size, scaled: false, add: 1 })),
  ].map(({ size, scaled, add }) => {
    const [m, n, k] = size;
    const factor = scaled ? normals(m * k) : null;
    const dx = add === 1 ? normals(m * k) : nans(m * k);
    return {
      name: `${productName(size)}${scaled ? ", with a factor" : ""}${add === 1 ? ", added" : ""}`,
      numbers: { m, n, k, add },
      buffers: { dy: normals(m * n), w: normals(n * k), factor, dx },
    };
  }),

  // The last gradient is larger than any cache.
  linearDropoutBackwardInput: [
    // 1 / (1 − p) is a power of two. So rounding to bfloat16 after the product gives the same number as in double
    // precision.
    ...dropoutSizes.flatMap((size) =>
      [0.75, 0.5].map((p) => {
        const [m, n, k] = size;
        return {
          name: `${productName(size)}, p=${p}`,
          numbers: { m, n, k, p },
          buffers: {
            dy: normals(m * n),
            kept: anyBits(m * n),
            w: normals(n * k),
            factor: p === 0.75 ? normals(m * k) : null,
            dBranch: blank,
            dx: blank,
          } as const,
        };
      }),
    ),
    {
      name: "NaN in dy",
      numbers: { m: 19, n: 35, k: 40, p: 0.5 },
      buffers: {
        dy: spoiled(normals(665), 200),
        kept: anyBits(665),
        w: normals(1400),
        factor: null,
        dBranch: blank,
        dx: blank,
      },
    },
  ],

  linearBackwardWeight: [...productSizes, [2, 1040, 1024] as const].flatMap((size) => {
    const [m, n, k] = size;
    const dy = normals(m * n);
    const x = normals(m * k);
    const dw = normals(n * k);
    const name = productName(size);
    const added = { name, numbers: { m, n, k, add: 1 }, buffers: { dy, x, dw, dBias: normals(n) } };
    const notAdded = {
      name: `${name}, not added`,
      numbers: { m, n, k, add: 0 },
      buffers: { dy, x, dw: nans(n * k), dBias: normals(n) },
    };
    if (isLarge(size)) return [added, notAdded];
    return [added, { ...added, name: `${name}, no bias`, buffers: { ...added.buffers, dBias: null } }, notAdded];
  }),
};

export const normSizes = [
  [0, 4],
  [1, 1],
  [1, 2],
  [3, 15],
  [16, 16],
  [5, 17],
  [33, 31],
  [2, 32],
  [31, 33],
  [65, 63],
  [64, 64],
  [7, 65],
  [129, 128],
  [127, 129],
  [600, 72],
  [5, 1000],
] as const;

export const layerNorm: Samples<"layerNormForward" | "layerNormBackward"> = {
  layerNormForward: [
    ...normSizes.flatMap(([rows, channels]) => {
      const numbers = { rows, channels, eps: 1e-5 };
      const x = normals(rows * channels);
      const gamma = normals(channels);
      const out = { y: blank, mean: blank, rstd: blank } as const;
      const name = `rows=${rows} C=${channels}`;
      return [
        { name, numbers, buffers: { x, gamma, beta: normals(channels), ...out } },
        { name: `${name}, no beta`, numbers, buffers: { x, gamma, beta: null, ...out } },
      ];
    }),
    ...(
      [
        ["far from zero", normals(320, 1, 1000)],
        ["tiny", normals(320, 1e-15)],
        ["large", normals(320, 1e15)],
        ["NaN in one row", spoiled(normals(320), 150)],
        ["all equal", new Float64Array(320).fill(3)],
      ] as const
    ).map(([name, x]) => ({
      name,
      numbers: { rows: 5, channels: 64, eps: 1e-5 },
      buffers: { x, gamma: normals(64), beta: normals(64), y: blank, mean: blank, rstd: blank } as const,
    })),
  ],

  layerNormBackward: normSizes.flatMap(([rows, channels]) => {
    const x = normals(rows * channels, 2, 0.5);
    const gamma = normals(channels);
    const y = new Float64Array(rows * channels);
    const mean = new Float64Array(rows);
    const rstd = new Float64Array(rows);
    referenceNorm.layerNormForward({ x, gamma, beta: null, y, mean, rstd, rows, channels, eps: 1e-5 });
    const given = { dy: normals(rows * channels), x, gamma, mean: rounded(mean), rstd: rounded(rstd) };
    const numbers = { rows, channels, add: 0 };
    const name = `rows=${rows} C=${channels}`;
    const [dGamma, dBeta] = [normals(channels), normals(channels)];
    const dx = nans(rows * channels);
    return [
      { name, numbers, buffers: { ...given, dx, dGamma, dBeta } },
      { name: `${name}, no beta`, numbers, buffers: { ...given, dx, dGamma, dBeta: null } },
      {
        name: `${name}, added`,
        numbers: { ...numbers, add: 1 },
        buffers: { ...given, dx: normals(rows * channels), dGamma, dBeta },
      },
      { name: `${name}, weights alone`, numbers, buffers: { ...given, dx: null, dGamma, dBeta } },
      { name: `${name}, dx alone`, numbers, buffers: { ...given, dx, dGamma: null, dBeta: null } },
    ];
  }),
};

/** Logits with realistic values, for the samples of the loss. */
export const modelLogits = (rows: number, vocabSize: number): Float64Array => {
  const y = new Float64Array(rows * vocabSize);
  const [m, n, k] = [rows, vocabSize, 16];
  const [x, w] = [normals(m * k), normals(n * k, 0.5)];
  products.linearForward({ operand: asGiven, x, w, bias: null, addend: null, y, m, n, k });
  return rounded(y);
};
