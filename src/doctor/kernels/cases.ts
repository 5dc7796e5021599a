/**
 * Kernel calls for `doctor`. The calls check every kernel in one second. The conformance suite has thousands of calls.
 */

import { blocks } from "../../backend/implementations/reference/blocks.ts";
import { blockForms, fileWords, panelWords, scalePlaces } from "../../backend/kernels/block-forms.ts";
import type { KernelName } from "../../backend/kernels/kernels.ts";
import { type KernelCase, kernelCase, noise } from "./kernel-case.ts";

const { positives, integers } = noise(1);

const lengths = [1, 33, 1003] as const;
const products = [
  [1, 65, 128],
  [17, 15, 16],
  [33, 31, 65],
  [70, 129, 300],
] as const;
const norms = [
  [3, 15],
  [5, 17],
  [9, 129],
] as const;
const key = { key0: 123456789, key1: -5, key2: 3, key3: 77, site: 9 };
const undropped = { key0: 0, key1: 0, key2: 0, key3: 0, site: 0, p: 0 };

const elementwise: readonly KernelCase[] = [
  ...lengths.flatMap((n) => [
    kernelCase("fill", { n, value: 0.1 }, 1),
    kernelCase("add", { n }, 1),
    kernelCase("combine", { n, alpha: 0.1, beta: -1.7 }, 2, { unreal: new Float32Array(1) }),
    kernelCase("sum", { n }, n),
    kernelCase("sumOfSquares", { n }, n),
    kernelCase("scaleByNorm", { n, eps: 1e-5 }, 1, { squares: positives(1) }),
    kernelCase("dropout", { n, ...key, p: 0.1 }, 1),
    ...[0, 1].flatMap((tanh) => [
      kernelCase("geluForward", { n, tanh }, 1),
      kernelCase("geluBackward", { n, tanh }, 1),
    ]),
    kernelCase("swigluForward", { rows: 5, hidden: n }, 1),
    kernelCase("swigluBackward", { rows: 5, hidden: n }, 1),
    ...[0, 1].flatMap((tanh) => [
      kernelCase("gegluForward", { rows: 5, hidden: n, tanh }, 1),
      kernelCase("gegluBackward", { rows: 5, hidden: n, tanh }, 1),
    ]),
    kernelCase("relu2Forward", { n }, 1),
    kernelCase("relu2Backward", { n }, 1),
    kernelCase(
      "adamStep",
      {
        ...{ n, beta1: 0.9, beta2: 0.99, eps: 1e-8, stepSize: 1e-2, sqrtCorrection2: 0.5 },
        ...{ decayFactor: 0.999, coupledDecay: 0, gradScale: 0.7 },
      },
      4,
      { v: positives(n), unreal: new Float32Array(1) },
    ),
  ]),
  kernelCase("addSquares", { n: 70, count: 4 }, 70, { ranges: Int32Array.of(0, 17, 17, 20, 20, 52, 60, 70) }),
  kernelCase("copyRows", { rows: 7, width: 17, xStride: 19, yStride: 23 }, 1),
  kernelCase("placeRows", { rows: 5, width: 17, xStride: 19, yRows: 8 }, 1, { places: Int32Array.of(4, 0, 7, 2, 5) }),
];

const embeddingSizes = { rows: 10, time: 5, channels: 17, vocabSize: 13, start: 2, positionRows: 9, scale: 1.5 };
const rotarySizes = {
  ...{ rows: 10, time: 5, heads: 3, keyHeads: 1, headDim: 18, rotaryDim: 16, start: 1, tableRows: 8, together: 0 },
};
const rotaryTogether = { ...rotarySizes, together: 1 };
const rotaryStats = rotarySizes.rows * (rotarySizes.heads + rotarySizes.keyHeads);

const rows: readonly KernelCase[] = [
  kernelCase("embeddingForward", embeddingSizes, 1, { ids: integers(10, 13) }),
  kernelCase("embeddingBackward", embeddingSizes, 10, { ids: integers(10, 13) }),
  ...norms.flatMap(([rows, channels]) => [
    kernelCase("layerNormForward", { rows, channels, eps: 1e-5 }, channels),
    kernelCase("layerNormBackward", { rows, channels, add: 0 }, channels, { rstd: positives(rows) }),
    kernelCase("layerNormBackward", { rows, channels, add: 1 }, channels, { rstd: positives(rows) }),
    kernelCase("rmsNormForward", { rows, channels, eps: 1e-6 }, channels),
    kernelCase("rmsNormBackward", { rows, channels, add: 0 }, channels, { rstd: positives(rows) }),
    kernelCase("rmsNormBackward", { rows, channels, add: 1 }, channels, { rstd: positives(rows) }),
  ]),
  kernelCase("rotaryForward", { ...rotarySizes, eps: 1e-6 }, 18),
  kernelCase("rotaryForward", { ...rotarySizes, eps: 1e-6 }, 18, { gammaQ: null, gammaK: null }),
  kernelCase("rotaryBackward", rotarySizes, 40, { rstd: positives(rotaryStats) }),
  kernelCase("rotaryBackward", rotarySizes, 18, { x: null, gammaQ: null, gammaK: null }),
  kernelCase("rotaryForward", { ...rotaryTogether, eps: 1e-6 }, 54),
  // Heads with a common norm have the same scale.
  kernelCase("rotaryBackward", rotaryTogether, 70, { rstd: new Float32Array(rotaryStats).fill(0.8) }),
];

const linear: readonly KernelCase[] = products.flatMap(([m, n, k]) => [
  kernelCase("linearForward", { m, n, k }, k),
  kernelCase("linearForward", { m, n, k }, k, { bias: null, addend: null }),
  kernelCase("linearGeluForward", { m, n, k, tanh: 0 }, k),
  kernelCase("linearGeluForward", { m, n, k, tanh: 1 }, k),
  kernelCase("linearDropoutForward", { m, n, k, ...key, p: 0.1 }, k),
  kernelCase("linearBackwardInput", { m, n, k, add: 0 }, n),
  kernelCase("linearBackwardInput", { m, n, k, add: 1 }, n, { factor: null }),
  kernelCase("linearDropoutBackwardInput", { m, n, k, p: 0.5 }, n, {
    kept: integers(Math.ceil((m * n) / 32), 2 ** 32),
  }),
  kernelCase("linearBackwardWeight", { m, n, k, add: 0 }, m),
  kernelCase("linearBackwardWeight", { m, n, k, add: 1 }, m),
]);

/** Sizes for attention with dense queries, keys and values. */
const attentionSizes = (
  batch: number,
  queries: number,
  start: number,
  heads: number,
  keyHeads: number,
  dim: number,
) => ({
  ...{
    batch,
    queries,
    start,
    heads,
    keyHeads,
    headDim: dim,
    rows: 0,
    keyRows: 0,
    scale: 1 / Math.sqrt(dim),
    causal: 1,
    window: 0,
  },
  ...{ queryStride: heads * dim, queryBatchStride: queries * heads * dim },
  ...{ keyStride: keyHeads * dim, keyBatchStride: (start + queries) * keyHeads * dim },
});
const pageless = { pageCount: 0 };
/**
 * Two sequences in pages. The first has 40 cached positions and two new positions. The second has 3 cached positions
 * and one new position.
 */
const paged = { ...attentionSizes(2, 2, 0, 4, 2, 17), rows: 3, keyRows: 128, pageCount: 3 };

const attention: readonly KernelCase[] = [
  kernelCase("attentionForward", { ...attentionSizes(2, 37, 0, 4, 2, 17), ...pageless, ...undropped }, 37),
  kernelCase("attentionForward", { ...attentionSizes(1, 70, 0, 2, 2, 32), ...pageless, ...key, p: 0.1 }, 70),
  kernelCase("attentionForward", { ...attentionSizes(1, 3, 66, 2, 1, 33), ...pageless, ...undropped }, 70),
  kernelCase("attentionForward", { ...attentionSizes(1, 33, 0, 2, 2, 16), ...pageless, ...undropped, causal: 0 }, 33),
  kernelCase("attentionForward", { ...attentionSizes(1, 70, 0, 2, 1, 32), ...pageless, ...undropped, window: 20 }, 20),
  kernelCase("attentionForward", { ...paged, ...undropped }, 42, {
    segments: Int32Array.of(0, 2, 0, 40, 2, 1, 2, 3),
    pages: Int32Array.of(3, 0, 2),
  }),
  kernelCase("attentionBackward", { ...attentionSizes(2, 37, 0, 4, 2, 17), ...undropped }, 74, {
    logSumExp: positives(2 * 4 * 37).map((x) => x + 3),
  }),
  kernelCase("attentionBackward", { ...attentionSizes(1, 70, 0, 2, 2, 32), ...key, p: 0.1 }, 70, {
    logSumExp: positives(2 * 70).map((x) => x + 4),
  }),
  kernelCase("attentionBackward", { ...attentionSizes(1, 70, 0, 2, 1, 32), ...undropped, window: 20 }, 40, {
    logSumExp: positives(2 * 70).map((x) => x + 4),
  }),
];

const loss: readonly KernelCase[] = [
  [5, 17],
  [33, 129],
].flatMap(([rows = 0, columns = 0]) => {
  const sizes = { rows, columns, first: 0, vocabSize: columns };
  const targets = integers(rows, columns);
  return [
    kernelCase("crossEntropyForward", sizes, columns, { targets }),
    kernelCase("crossEntropyBackward", sizes, 1, { targets, logSumExp: positives(rows).map((x) => x + 4) }),
  ];
});

/** Rows of weights in blocks, as in a file. The bits are random, with scales between 0.06 and 0.13. */
const fileRows = (form: number, count: number, k: number): Int32Array => {
  const words = integers(fileWords(form, count, k), 2 ** 32);
  const view = new DataView(words.buffer);
  const { scales, fileBytes } = blockForms[form] as (typeof blockForms)[number];
  for (let at = 0; at + fileBytes <= view.byteLength; at += fileBytes)
    for (const place of scalePlaces[scales])
      view.setUint16(at + place, 0x2c00 | (view.getUint16(at + place, true) & 0x3ff), true);
  return words;
};

const inBlocks: readonly KernelCase[] = blockForms.flatMap((_, form) => {
  const [m, n, k] = [3, 19, 256];
  const x = fileRows(form, n, k);
  const w = new Int32Array(panelWords(form, n, k));
  blocks.blocksPack({ x, y: w, rows: n, k, form });
  return [
    kernelCase("blocksPack", { rows: n, k, form }, 1, { x }),
    kernelCase("blocksRows", { rows: m, n, k, first: 0, form }, 1, { w, ids: Int32Array.of(18, 0, 7) }),
    kernelCase("blocksLinearForward", { m, n, k, yStride: n, form }, k, { w }),
  ];
});

/** All cases, in the order of the kernel table's parts. */
export const kernelCases: readonly KernelCase[] = [
  ...elementwise,
  ...rows,
  ...linear,
  ...attention,
  ...loss,
  ...inBlocks,
];

/** All kernels that have a case. */
export const checkedKernels: readonly KernelName[] = [...new Set(kernelCases.map(({ kernel }) => kernel))];
