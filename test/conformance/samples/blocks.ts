import { blocks } from "#foretoken/backend/implementations/reference/blocks.js";
import { blockForms, fileWords, panelWords } from "#foretoken/backend/kernels/block-forms.js";
import type { Samples } from "../sample.ts";
import { blank, noise, spoiled } from "../sample.ts";

const { normals, integers } = noise(11);

/**
 * A finite number in binary16. The number has any size. If the product is compared with other products, the number is
 * near 0.01.
 */
const halfBits = (word: number, isWild: boolean): number => {
  const sign = (word & 1) << 15;
  const fraction = (word >> 1) & 0x3ff;
  const exponent = isWild ? (word >> 11) % 31 : 7 + ((word >> 11) & 3);
  return sign | (exponent << 10) | fraction;
};

/** Positions of the binary16 numbers in a block of a file. */
const halvesOf = { offset: [0], minimum: [0, 2], nested: [0, 2], halved: [208] } as const;

/**
 * Rows of random blocks, as in a file. `words` contains the random bits of the blocks. `words` has the length
 * `fileWords(form, rows, k)` and is changed in place.
 */
export const fileRows = (
  form: number,
  rows: number,
  k: number,
  isWild: boolean,
  words = integers(fileWords(form, rows, k), 2 ** 32),
): Int32Array => {
  const bytes = new Uint8Array(words.buffer);
  const view = new DataView(words.buffer);
  const { scales, fileBytes } = blockForms[form] as (typeof blockForms)[number];
  for (let at = 0; at + fileBytes <= bytes.length; at += fileBytes)
    for (const half of halvesOf[scales])
      view.setUint16(at + half, halfBits(view.getUint16(at + half, true), isWild), true);
  return words;
};

/** Rows of random blocks, in panels. */
export const panels = (form: number, rows: number, k: number, isWild = false): Int32Array => {
  const y = new Int32Array(panelWords(form, rows, k));
  blocks.blocksPack({ x: fileRows(form, rows, k, isWild), y, rows, k, form });
  return y;
};

const sizes = [
  [0, 3, 256],
  [1, 1, 256],
  [1, 40, 768],
  // So many rows of weights that several panels are multiplied at the same time.
  [1, 150, 256],
  [2, 15, 256],
  [3, 16, 512],
  [9, 17, 256],
  [17, 33, 256],
] as const;
/** For rows with a length that is not a multiple of 256. */
const narrow = [
  [1, 16, 32],
  [5, 19, 96],
  [8, 7, 64],
] as const;

const name = (form: number, m: number, n: number, k: number): string =>
  `${blockForms[form]?.name} m=${m} n=${n} k=${k}`;
const forms = blockForms.map((_, form) => form);
const sizesOf = (form: number) => (blockForms[form]?.fileValues === 32 ? [...sizes, ...narrow] : sizes);

export const blockSamples: Samples<"blocksPack" | "blocksRows" | "blocksLinearForward"> = {
  blocksPack: forms.flatMap((form) =>
    sizesOf(form).map(([, rows, k]) => ({
      name: name(form, 0, rows, k),
      numbers: { rows, k, form },
      buffers: { x: fileRows(form, rows, k, true), y: blank } as const,
    })),
  ),

  blocksRows: forms.flatMap((form) =>
    sizesOf(form).flatMap(([rows, n, k]) => [
      {
        name: `${name(form, rows, n, k)}, by ids`,
        numbers: { rows, n, k, first: 0, form },
        buffers: { w: panels(form, n, k, true), ids: integers(rows, n), y: blank } as const,
      },
      {
        name: `${name(form, rows, n, k)}, from a row on`,
        numbers: { rows: Math.min(rows, n), n, k, first: n - Math.min(rows, n), form },
        buffers: { w: panels(form, n, k), ids: null, y: blank } as const,
      },
    ]),
  ),

  blocksLinearForward: forms.flatMap((form) => [
    ...sizesOf(form).flatMap(([m, n, k]) => [
      {
        name: name(form, m, n, k),
        numbers: { m, n, k, yStride: n, form },
        buffers: { x: normals(m * k), w: panels(form, n, k), bias: null, addend: null, y: blank } as const,
      },
      {
        name: `${name(form, m, n, k)}, with a bias and an addend`,
        numbers: { m, n, k, yStride: n, form },
        buffers: {
          x: normals(m * k, 30),
          w: panels(form, n, k),
          bias: normals(n),
          addend: normals(m * n),
          y: blank,
        } as const,
      },
    ]),
    {
      name: `${name(form, 1, 20, 0)}: sums of nothing`,
      numbers: { m: 1, n: 20, k: 0, yStride: 20, form },
      buffers: { x: normals(0), w: panels(form, 20, 0), bias: normals(20), addend: null, y: blank } as const,
    },
    {
      name: `${name(form, 2, 20, 256)}, part of wider rows`,
      numbers: { m: 2, n: 20, k: 256, yStride: 33, form },
      buffers: { x: normals(512), w: panels(form, 20, 256), bias: null, addend: null, y: normals(53) } as const,
    },
    {
      name: `${name(form, 3, 20, 256)}, zeros, a NaN and an infinity`,
      numbers: { m: 3, n: 20, k: 256, yStride: 20, form },
      buffers: {
        x: spoiled(normals(768).fill(0, 0, 64).fill(Number.POSITIVE_INFINITY, 600, 601), 300),
        w: panels(form, 20, 256),
        bias: null,
        addend: null,
        y: blank,
      } as const,
    },
  ]),
};
