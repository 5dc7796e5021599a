import type { Samples } from "../sample.ts";
import { blank, edgeLengths, nans, noise, rounded, spoiled } from "../sample.ts";

const { normals, integers } = noise(1);
/** At the last length, every kernel divides the work among its threads. */
const lengths = [0, ...edgeLengths, 1000, 4099, 30_011];

const copies = [
  { rows: 0, width: 4, xStride: 4, yStride: 4 },
  { rows: 1, width: 1, xStride: 1, yStride: 1 },
  { rows: 5, width: 17, xStride: 17, yStride: 17 },
  { rows: 7, width: 16, xStride: 48, yStride: 16 },
  { rows: 33, width: 31, xStride: 31, yStride: 40 },
  { rows: 3, width: 129, xStride: 131, yStride: 200 },
  { rows: 400, width: 65, xStride: 66, yStride: 67 },
];

/**
 * Values at the edges of an activation's formula: zeros, subnormal numbers, the saturated range, and values with a cube
 * that overflows.
 */
const extremes = rounded(
  [0, 1e-45, 1e-40, 1e-30, 1e-10, 1e-4, 0.5, 1, 2, 3, 5, 6, 8, 10, 13, 14, 20, 100, 1e4, 1e15, 1e30, 3e38].flatMap(
    (x) => [x, -x],
  ),
);
/** 70 ordinary values and a NaN. The result must contain the NaN, because users notice a diverging run by it. */
const withNan = (): Float64Array => spoiled(normals(70), 37);
const dropoutKey = { key0: 1, key1: -2, key2: 3, key3: 4, site: 5 };
const grid = rounded(Array.from({ length: 2001 }, (_, i) => -12 + (24 * i) / 2000));

export const elementwise: Samples<
  | "fill"
  | "add"
  | "combine"
  | "copyRows"
  | "placeRows"
  | "sum"
  | "sumOfSquares"
  | "addSquares"
  | "scaleByNorm"
  | "dropout"
  | "geluForward"
  | "geluBackward"
> = {
  fill: lengths.map((n) => ({ name: `n=${n}`, numbers: { n, value: 0.1 }, buffers: { y: blank } })),

  add: [
    ...lengths.map((n) => ({
      name: `n=${n}`,
      numbers: { n },
      buffers: { a: normals(n), b: normals(n, 100), y: blank } as const,
    })),
    { name: "in place on a", numbers: { n: 65 }, buffers: { a: normals(65), b: normals(65), y: { of: "a", at: 0 } } },
    { name: "in place on b", numbers: { n: 65 }, buffers: { a: normals(65), b: normals(65), y: { of: "b", at: 0 } } },
    { name: "NaN", numbers: { n: 70 }, buffers: { a: withNan(), b: normals(70), y: blank } },
    { name: "a twice", numbers: { n: 33 }, buffers: { a: normals(33), b: { of: "a", at: 0 }, y: { of: "a", at: 0 } } },
  ],

  combine: [
    ...lengths.map((n) => ({
      name: `n=${n}`,
      numbers: { n, alpha: 0.1, beta: -1.7 },
      buffers: { a: normals(n), b: normals(n), y: blank, unreal: null } as const,
    })),
    ...lengths.map((n) => ({
      name: `n=${n}, all finite`,
      numbers: { n, alpha: 0.1, beta: -1.7 },
      buffers: { a: normals(n), b: normals(n), y: blank, unreal: rounded([0]) } as const,
    })),
    ...[0, 37, 64, 29_999].map((place) => ({
      name: `NaN at ${place} of ${place + 6}`,
      numbers: { n: place + 6, alpha: 0, beta: 1 },
      buffers: {
        a: spoiled(normals(place + 6), place),
        b: normals(place + 6),
        y: blank,
        unreal: rounded([0]),
      } as const,
    })),
    {
      name: "an infinite factor",
      numbers: { n: 70, alpha: Infinity, beta: 0 },
      buffers: { a: normals(70), b: normals(70), y: blank, unreal: rounded([0]) },
    },
    {
      name: "not finite before",
      numbers: { n: 5, alpha: 1, beta: 1 },
      buffers: { a: normals(5), b: normals(5), y: blank, unreal: rounded([1]) },
    },
    {
      name: "in place on a",
      numbers: { n: 65, alpha: 2, beta: 0.3 },
      buffers: { a: normals(65), b: normals(65), y: { of: "a", at: 0 }, unreal: null },
    },
    {
      name: "in place on b",
      numbers: { n: 65, alpha: 0, beta: 0.95 },
      buffers: { a: normals(65), b: normals(65), y: { of: "b", at: 0 }, unreal: null },
    },
    {
      name: "NaN",
      numbers: { n: 70, alpha: 0, beta: 1 },
      buffers: { a: withNan(), b: normals(70), y: blank, unreal: null },
    },
  ],

  copyRows: copies.map(({ rows, width, xStride, yStride }) => ({
    name: `${rows} × ${width}, strides ${xStride} and ${yStride}`,
    numbers: { rows, width, xStride, yStride },
    buffers: { x: normals(rows * xStride), y: normals(rows * yStride) },
  })),

  placeRows: copies.map(({ rows, width, xStride }) => ({
    name: `${rows} × ${width}, stride ${xStride}`,
    numbers: { rows, width, xStride, yRows: rows + 3 },
    buffers: {
      x: normals(rows * xStride),
      places: Int32Array.from({ length: rows }, (_, r) => rows + 1 - r),
      y: normals((rows + 3) * width),
    },
  })),

  sum: [
    ...[...lengths, 100_003].flatMap((n) => [
      { name: `n=${n}`, numbers: { n }, buffers: { x: normals(n), y: blank } as const },
      { name: `n=${n}, all positive`, numbers: { n }, buffers: { x: normals(n, 1, 10), y: blank } as const },
    ]),
    { name: "NaN", numbers: { n: 70 }, buffers: { x: withNan(), y: blank } },
  ],

  sumOfSquares: [
    ...[...lengths, 100_003].map((n) => ({
      name: `n=${n}`,
      numbers: { n },
      buffers: { x: normals(n), y: blank } as const,
    })),
    { name: "NaN", numbers: { n: 70 }, buffers: { x: withNan(), y: blank } },
  ],

  addSquares: [
    ...[
      { n: 0, ranges: [0, 0], addends: [true] },
      { n: 1, ranges: [0, 1], addends: [true] },
      { n: 70, ranges: [0, 17, 17, 17, 20, 52, 60, 70], addends: [false, true] },
      { n: 4099, ranges: [0, 4096, 4096, 4099], addends: [true] },
      { n: 100_003, ranges: [3, 30_001, 30_001, 30_002, 32_768, 100_003], addends: [false, true] },
    ].flatMap(({ n, ranges, addends }) =>
      addends
        .map((adds) => (adds ? normals(n, 100) : null))
        .map((addend) => ({
          name: `n=${n}, ${ranges.length / 2} ranges, ${addend === null ? "no addend" : "an addend"}`,
          numbers: { n, count: ranges.length / 2 },
          buffers: { x: normals(n), addend, ranges: Int32Array.from(ranges), squares: blank } as const,
        })),
    ),
    {
      name: "NaN",
      numbers: { n: 70, count: 2 },
      buffers: { x: withNan(), addend: normals(70), ranges: Int32Array.of(0, 32, 32, 70), squares: blank },
    },
  ],

  scaleByNorm: [
    ...lengths.map((n) => ({
      name: `n=${n}`,
      numbers: { n, eps: 1e-7 },
      buffers: { x: normals(n), squares: normals(1, 0.1, n + 1), y: blank } as const,
    })),
    {
      name: "in place",
      numbers: { n: 65, eps: 0.5 },
      buffers: { x: normals(65), squares: rounded([1e-3]), y: { of: "x", at: 0 } },
    },
    {
      name: "all zero",
      numbers: { n: 33, eps: 1e-7 },
      buffers: { x: new Float64Array(33), squares: rounded([0]), y: blank },
    },
    {
      name: "large",
      numbers: { n: 33, eps: 1e-7 },
      buffers: { x: normals(33, 1e18), squares: rounded([3e37]), y: blank },
    },
    { name: "NaN", numbers: { n: 70, eps: 1e-7 }, buffers: { x: withNan(), squares: rounded([2]), y: blank } },
    { name: "NaN in squares", numbers: { n: 17, eps: 1e-7 }, buffers: { x: normals(17), squares: nans(1), y: blank } },
  ],

  dropout: [
    ...lengths.flatMap((n) =>
      [0, 0.1, 0.5].map((p) => ({
        name: `n=${n}, p=${p}`,
        numbers: { n, ...dropoutKey, p },
        buffers: { x: normals(n), y: blank } as const,
      })),
    ),
    {
      name: "another key",
      numbers: { n: 130, ...dropoutKey, key0: 0, key3: 2147483647, site: 0, p: 0.9 },
      buffers: { x: normals(130), y: blank },
    },
    {
      name: "in place",
      numbers: { n: 1000, ...dropoutKey, p: 0.3 },
      buffers: { x: normals(1000), y: { of: "x", at: 0 } },
    },
    { name: "NaN", numbers: { n: 70, ...dropoutKey, p: 0.5 }, buffers: { x: withNan(), y: blank } },
  ],

  geluForward: [0, 1].flatMap((tanh) => [
    ...lengths.map((n) => ({
      name: `n=${n}, tanh=${tanh}`,
      numbers: { n, tanh },
      buffers: { x: normals(n), y: blank } as const,
    })),
    { name: `grid, tanh=${tanh}`, numbers: { n: grid.length, tanh }, buffers: { x: grid, y: blank } },
    { name: `NaN, tanh=${tanh}`, numbers: { n: 70, tanh }, buffers: { x: withNan(), y: blank } },
    { name: `extremes, tanh=${tanh}`, numbers: { n: extremes.length, tanh }, buffers: { x: extremes, y: blank } },
  ]),

  geluBackward: [0, 1].flatMap((tanh) => [
    ...lengths.map((n) => ({
      name: `n=${n}, tanh=${tanh}`,
      numbers: { n, tanh },
      buffers: { x: normals(n), dy: normals(n), dx: blank } as const,
    })),
    {
      name: `grid, tanh=${tanh}`,
      numbers: { n: grid.length, tanh },
      buffers: { x: grid, dy: normals(grid.length), dx: blank },
    },
    { name: `NaN, tanh=${tanh}`, numbers: { n: 70, tanh }, buffers: { x: withNan(), dy: normals(70), dx: blank } },
    {
      name: `NaN in dy, tanh=${tanh}`,
      numbers: { n: 70, tanh },
      buffers: { x: normals(70), dy: withNan(), dx: blank },
    },
    {
      name: `extremes, tanh=${tanh}`,
      numbers: { n: extremes.length, tanh },
      buffers: { x: extremes, dy: normals(extremes.length), dx: blank },
    },
  ]),
};

const embeddings = [
  { rows: 0, time: 1, channels: 4, vocabSize: 3, start: 0 },
  { rows: 1, time: 1, channels: 1, vocabSize: 1, start: 0 },
  { rows: 6, time: 3, channels: 15, vocabSize: 4, start: 0 },
  { rows: 34, time: 17, channels: 33, vocabSize: 65, start: 5 },
  { rows: 128, time: 64, channels: 64, vocabSize: 7, start: 0 },
  { rows: 130, time: 65, channels: 129, vocabSize: 200, start: 1 },
  { rows: 512, time: 128, channels: 80, vocabSize: 65, start: 0 },
].map((sizes) => ({ ...sizes, positionRows: sizes.start + sizes.time, scale: 1 }));

const embeddingName = ({ rows, time, channels, vocabSize, start }: (typeof embeddings)[number]): string =>
  `rows=${rows} time=${time} C=${channels} V=${vocabSize} start=${start}`;

export const embedding: Samples<"embeddingForward" | "embeddingBackward"> = {
  embeddingForward: embeddings.flatMap((numbers) => {
    const { rows, channels, vocabSize, positionRows } = numbers;
    const ids = integers(rows, vocabSize);
    const tokens = normals(vocabSize * channels);
    const positions = normals(positionRows * channels);
    const given = { ids, tokens, positions, places: null, y: blank } as const;
    const name = embeddingName(numbers);
    const places = integers(rows, positionRows);
    return [
      { name, numbers, buffers: given },
      { name: `${name}, no positions`, numbers, buffers: { ...given, positions: null } },
      { name: `${name}, scaled`, numbers: { ...numbers, scale: 25.3 }, buffers: given },
      { name: `${name}, places`, numbers: { ...numbers, time: 1, start: 0 }, buffers: { ...given, places } },
    ];
  }),

  embeddingBackward: embeddings.flatMap((numbers) => {
    const { rows, channels, vocabSize, positionRows } = numbers;
    const ids = integers(rows, vocabSize);
    const dy = normals(rows * channels);
    const dTokens = normals(vocabSize * channels);
    const dPositions = normals(positionRows * channels);
    const given = { ids, places: null, dy, dTokens, dPositions };
    const name = embeddingName(numbers);
    const places = integers(rows, positionRows);
    return [
      { name, numbers, buffers: given },
      { name: `${name}, positions only`, numbers, buffers: { ...given, dTokens: null } },
      { name: `${name}, scaled`, numbers: { ...numbers, scale: 25.3 }, buffers: given },
      { name: `${name}, tokens only`, numbers, buffers: { ...given, dPositions: null } },
      { name: `${name}, places`, numbers: { ...numbers, time: 1, start: 0 }, buffers: { ...given, places } },
    ];
  }),
};
