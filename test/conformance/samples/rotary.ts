import { rmsNorm as referenceNorm } from "#foretoken/backend/implementations/reference/rms-norm.js";
import { rotary as referenceRotary } from "#foretoken/backend/implementations/reference/rotary.js";
import { packedWidth, rotaryLengths } from "#foretoken/backend/kernels/sizes.js";
import { rotaryAngles } from "#foretoken/ops/rotary.js";
import type { Samples } from "../sample.ts";
import { blank, edgeLengths, nans, noise, rounded, spoiled } from "../sample.ts";
import { normSizes } from "./layers.ts";

const { normals, integers } = noise(4);

export const rmsNorm: Samples<"rmsNormForward" | "rmsNormBackward"> = {
  rmsNormForward: [
    ...normSizes.map(([rows, channels]) => ({
      name: `rows=${rows} C=${channels}`,
      numbers: { rows, channels, eps: 1e-6 },
      buffers: { x: normals(rows * channels), gamma: normals(channels), y: blank, rstd: blank } as const,
    })),
    ...(
      [
        ["far from zero", normals(320, 1, 1000)],
        ["tiny", normals(320, 1e-15)],
        ["large", normals(320, 1e15)],
        ["NaN in one row", spoiled(normals(320), 150)],
        ["all zero", new Float64Array(320)],
      ] as const
    ).map(([name, x]) => ({
      name,
      numbers: { rows: 5, channels: 64, eps: 1e-5 },
      buffers: { x, gamma: normals(64), y: blank, rstd: blank } as const,
    })),
  ],

  rmsNormBackward: normSizes.flatMap(([rows, channels]) => {
    const x = normals(rows * channels, 2, 0.5);
    const gamma = normals(channels);
    const rstd = new Float64Array(rows);
    const y = new Float64Array(rows * channels);
    referenceNorm.rmsNormForward({ x, gamma, y, rstd, rows, channels, eps: 1e-6 });
    const given = { dy: normals(rows * channels), x, gamma, rstd: rounded(rstd) };
    const name = `rows=${rows} C=${channels}`;
    const dGamma = normals(channels);
    const numbers = { rows, channels, add: 0 };
    return [
      { name, numbers, buffers: { ...given, dx: nans(rows * channels), dGamma } },
      {
        name: `${name}, added`,
        numbers: { ...numbers, add: 1 },
        buffers: { ...given, dx: normals(rows * channels), dGamma },
      },
      { name: `${name}, dGamma alone`, numbers, buffers: { ...given, dx: null, dGamma } },
      { name: `${name}, dx alone`, numbers, buffers: { ...given, dx: nans(rows * channels), dGamma: null } },
    ];
  }),
};

interface Rotation {
  readonly rows: number;
  readonly time: number;
  readonly heads: number;
  /** Default: `heads`. */
  readonly keyHeads?: number;
  readonly headDim: number;
  /** Default: headDim. */
  readonly rotaryDim?: number;
  readonly start: number;
  /** Positions are random numbers below this number. */
  readonly placesBelow?: number;
  /** Whether one norm covers all heads of q, and another norm covers all heads of k. */
  readonly together?: true;
}

const rotations: readonly Rotation[] = [
  { rows: 0, time: 1, heads: 1, headDim: 4, start: 0 },
  { rows: 1, time: 1, heads: 1, headDim: 2, start: 0 },
  { rows: 1, time: 1, heads: 3, headDim: 6, start: 11 },
  { rows: 6, time: 3, heads: 2, headDim: 14, start: 0 },
  { rows: 4, time: 2, heads: 1, headDim: 16, start: 2 },
  { rows: 5, time: 5, heads: 2, headDim: 30, start: 1 },
  { rows: 33, time: 33, heads: 4, headDim: 32, start: 0 },
  { rows: 10, time: 5, heads: 2, headDim: 34, start: 3 },
  { rows: 66, time: 33, heads: 3, headDim: 64, start: 0 },
  { rows: 7, time: 7, heads: 1, headDim: 66, start: 100 },
  { rows: 130, time: 65, heads: 2, headDim: 128, start: 5 },
  { rows: 3, time: 1, heads: 1, headDim: 200, start: 0 },
  { rows: 6, time: 3, heads: 4, keyHeads: 1, headDim: 14, start: 2 },
  { rows: 66, time: 33, heads: 4, keyHeads: 2, headDim: 32, start: 0 },
  { rows: 6, time: 3, heads: 2, headDim: 16, rotaryDim: 2, start: 1 },
  { rows: 10, time: 5, heads: 2, keyHeads: 1, headDim: 80, rotaryDim: 34, start: 0 },
  { rows: 5, time: 5, heads: 1, headDim: 6, rotaryDim: 0, start: 0 },
  { rows: 9, time: 1, heads: 2, keyHeads: 1, headDim: 32, start: 0, placesBelow: 40 },
  { rows: 1, time: 1, heads: 1, headDim: 2, start: 0, together: true },
  { rows: 6, time: 3, heads: 4, keyHeads: 1, headDim: 14, start: 2, together: true },
  { rows: 66, time: 33, heads: 4, keyHeads: 2, headDim: 34, rotaryDim: 16, start: 0, together: true },
  { rows: 5, time: 5, heads: 3, headDim: 6, rotaryDim: 0, start: 0, together: true },
  { rows: 130, time: 65, heads: 8, keyHeads: 8, headDim: 64, start: 5, together: true },
];

const fullRotation = ({ rows, time, heads, keyHeads = heads, headDim, rotaryDim = headDim, ...more }: Rotation) => {
  const { start, placesBelow } = more;
  const tableRows = placesBelow ?? start + time;
  const together = more.together === true ? 1 : 0;
  return { rows, time, heads, keyHeads, headDim, rotaryDim, start, tableRows, together };
};

const rotationName = (given: Rotation): string => {
  const { rows, time, heads, keyHeads, headDim, rotaryDim, start } = fullRotation(given);
  const places = given.placesBelow === undefined ? "" : " places";
  const norms = given.together === true ? " together" : "";
  return `rows=${rows} T=${time} H=${heads} Hk=${keyHeads} D=${headDim} R=${rotaryDim} start=${start}${places}${norms}`;
};

const tableOf = (given: Rotation) => {
  const { tableRows, rotaryDim, rows } = fullRotation(given);
  const { cos, sin } = rotaryAngles(tableRows, rotaryDim, 10_000);
  const places = given.placesBelow === undefined ? null : integers(rows, given.placesBelow);
  return { cos: rounded(cos), sin: rounded(sin), places };
};

const lengthOf = (given: Rotation): number => given.rows * packedWidth(fullRotation(given));

export const rotary: Samples<"rotaryForward" | "rotaryBackward"> = {
  rotaryForward: [
    ...rotations.flatMap((shape) => {
      const widths = rotaryLengths(fullRotation(shape));
      const given = { x: normals(lengthOf(shape)), ...tableOf(shape), y: blank, rstd: blank } as const;
      const numbers = { ...fullRotation(shape), eps: 1e-6 };
      const name = rotationName(shape);
      return [
        { name, numbers, buffers: { ...given, gammaQ: null, gammaK: null } },
        {
          name: `${name}, normed`,
          numbers,
          buffers: { ...given, gammaQ: normals(widths.gammaQ), gammaK: normals(widths.gammaK) },
        },
      ];
    }),
    ...(
      [
        ["tiny", normals(5 * 3 * 2 * 34, 1e-15)],
        ["large", normals(5 * 3 * 2 * 34, 1e15)],
        ["NaN in one head", spoiled(normals(5 * 3 * 2 * 34), 250)],
        ["all zero", new Float64Array(5 * 3 * 2 * 34)],
      ] as const
    ).map(([name, x]) => {
      const shape = { rows: 5, time: 5, heads: 2, headDim: 34, start: 2 };
      const gammas = { gammaQ: normals(34), gammaK: normals(34) };
      return {
        name,
        numbers: { ...fullRotation(shape), eps: 1e-5 },
        buffers: { x, ...gammas, ...tableOf(shape), y: blank, rstd: blank } as const,
      };
    }),
  ],

  rotaryBackward: rotations.flatMap((shape) => {
    const numbers = fullRotation(shape);
    const { rows, heads, keyHeads } = numbers;
    const widths = rotaryLengths(numbers);
    const length = lengthOf(shape);
    const x = normals(length, 2, 0.5);
    const norms = { gammaQ: normals(widths.gammaQ), gammaK: normals(widths.gammaK) };
    const table = tableOf(shape);
    const rstd = new Float64Array(rows * (heads + keyHeads));
    const y = new Float64Array(length);
    referenceRotary.rotaryForward({ x, ...norms, ...table, y, rstd, ...numbers, eps: 1e-6 });
    const given = { dy: normals(length), x, ...table, dx: blank } as const;
    const normed = { ...given, ...norms, rstd: rounded(rstd) };
    const plain = { ...given, x: null, gammaQ: null, gammaK: null, rstd: new Float64Array(rstd.length).fill(1) };
    const name = rotationName(shape);
    const dGammaQ = normals(widths.gammaQ);
    const dGammaK = normals(widths.gammaK);
    return [
      { name, numbers, buffers: { ...plain, dGammaQ: null, dGammaK: null } },
      { name: `${name}, normed`, numbers, buffers: { ...normed, dGammaQ, dGammaK } },
      { name: `${name}, normed, keys only`, numbers, buffers: { ...normed, dGammaQ: null, dGammaK } },
    ];
  }),
};

const gatedSizes = [[0, 3], ...edgeLengths.map((hidden) => [3, hidden] as const), [1, 1000], [90, 344]] as const;

/** Gates at which σ is close to 0 or 1, gates at which eˣ overflows, and gates at which the slope is 0. */
const gates = rounded(
  [0, 1e-40, 1e-10, 0.5, 1, 1.2784645, 5, 15, 17, 40, 86, 87.3, 88, 88.8, 90, 103, 1e4, 1e15, 3e38].flatMap((x) => [
    x,
    -x,
  ]),
);
const gatedExtremes = Float64Array.from([...gates, ...normals(gates.length)]);

export const swiglu: Samples<"swigluForward" | "swigluBackward"> = {
  swigluForward: [
    ...gatedSizes.map(([rows, hidden]) => ({
      name: `rows=${rows} F=${hidden}`,
      numbers: { rows, hidden },
      buffers: { x: normals(2 * rows * hidden, 3), y: blank } as const,
    })),
    { name: "extremes", numbers: { rows: 1, hidden: gates.length }, buffers: { x: gatedExtremes, y: blank } },
    {
      name: "NaN in gate and up",
      numbers: { rows: 2, hidden: 35 },
      buffers: { x: spoiled(normals(140), 20, 120), y: blank },
    },
  ],

  swigluBackward: [
    ...gatedSizes.map(([rows, hidden]) => ({
      name: `rows=${rows} F=${hidden}`,
      numbers: { rows, hidden },
      buffers: { x: normals(2 * rows * hidden, 3), dy: normals(rows * hidden), dx: blank } as const,
    })),
    {
      name: "extremes",
      numbers: { rows: 1, hidden: gates.length },
      buffers: { x: gatedExtremes, dy: normals(gates.length), dx: blank },
    },
    {
      name: "NaN in gate, up and dy",
      numbers: { rows: 2, hidden: 35 },
      buffers: { x: spoiled(normals(140), 20, 120), dy: spoiled(normals(70), 5), dx: blank },
    },
  ],
};
