import type { RealArray } from "../../../core/tensors/dtype.ts";
import {
  type BlockForm,
  blockForms,
  blockValues,
  lineBytes,
  nestedBlocks,
  panelPlaces,
  panelRows,
} from "../../kernels/block-forms.ts";
import type { HostKernels } from "./host-args.ts";

const bytesOf = (words: Int32Array): Uint8Array => new Uint8Array(words.buffer, words.byteOffset, words.byteLength);

const formOf = (number: number): BlockForm => blockForms[number] as BlockForm;

const byte = (bytes: Uint8Array, at: number): number => bytes[at] as number;
const signed = (bytes: Uint8Array, at: number): number => (byte(bytes, at) << 24) >> 24;

/** Reads the binary16 number at `at`. */
const half = (bytes: Uint8Array, at: number): number => {
  const bits = byte(bytes, at) | (byte(bytes, at + 1) << 8);
  const fraction = bits & 0x3ff;
  const exponent = (bits >> 10) & 31;
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -size : size;
};

/** Offsets of the parts of one block of a panel. */
interface BlockPlaces {
  readonly values: number;
  readonly scales: number;
  readonly nested: number;
}

const placesOf = (form: BlockForm, k: number, row: number, block: number): BlockPlaces => {
  const places = panelPlaces(form, k);
  const panel = Math.floor(row / panelRows) * places.bytes;
  return {
    values: panel + block * places.valueBytes,
    scales: panel + places.scalesFrom + block * places.scaleBytes,
    nested: panel + places.nestedFrom + Math.floor(block / nestedBlocks) * places.nestedBytes,
  };
};

/**
 * Calls `visit` for each byte that contains bits of value `i` of a row. The arguments of `visit` are the byte's offset,
 * the bits' shift and mask in the byte, and the bits' shift in the value.
 */
const bitsOfValue = (
  { bits }: BlockForm,
  row: number,
  i: number,
  visit: (at: number, shift: number, mask: number, to: number) => void,
): void => {
  const group = i >> 2;
  const column = (row % panelRows) * 4 + (i & 3);
  const line = (number: number): number => number * lineBytes + column;
  if (bits === 8) {
    visit(line(group), 0, 255, 0);
    return;
  }
  visit(line(group & 3), (group >> 2) * 4, 15, 0);
  if (bits === 5) visit(line(4), group, 1, 4);
  if (bits === 6) visit(line(4 + (group >> 2)), (group & 3) * 2, 3, 4);
};

const valueAt = (form: BlockForm, bytes: Uint8Array, from: number, row: number, i: number): number => {
  let value = 0;
  bitsOfValue(form, row, i, (at, shift, mask, to) => {
    value |= ((byte(bytes, from + at) >> shift) & mask) << to;
  });
  return value;
};

/** 32 unsigned values of a row, and the bytes of their scales. Each byte has an offset in a panel. */
interface FileBlock {
  readonly values: readonly number[];
  /** Each byte as a pair [offset among the scales of a row, byte]. */
  readonly scales: readonly (readonly [at: number, byte: number])[];
  readonly nested: readonly (readonly [at: number, byte: number])[];
}

const fromTo = <T>(of: (i: number) => T): T[] => Array.from({ length: blockValues }, (_, i) => of(i));

/** Reads block number `block` of 32 values of a row. The row's blocks in the file begin at `from`. */
const fileBlock = (form: BlockForm, bytes: Uint8Array, from: number, block: number, row: number): FileBlock => {
  const { fileValues, fileBytes, bits, scales } = form;
  const at = from + Math.floor((block * blockValues) / fileValues) * fileBytes;
  const own = (offset: number): number => byte(bytes, at + offset);
  const halfAt = (offset: number, to: number) => [
    [to + 2 * row, own(offset)] as const,
    [to + 2 * row + 1, own(offset + 1)] as const,
  ];
  const j = block % nestedBlocks;
  switch (scales) {
    case "offset":
    case "minimum": {
      const heads = scales === "minimum" ? 4 : 2;
      const low = heads + (bits === 5 ? 4 : 0);
      const fifth = (i: number): number => (bits === 5 ? (own(heads + (i >> 3)) >> (i & 7)) & 1 : 0);
      return {
        values: fromTo((i) =>
          bits === 8 ? own(low + i) ^ 128 : ((own(low + (i & 15)) >> (i < 16 ? 0 : 4)) & 15) | (fifth(i) << 4),
        ),
        scales: [...halfAt(0, 0), ...(scales === "minimum" ? halfAt(2, 32) : [])],
        nested: [],
      };
    }
    case "nested": {
      const low = (bits === 5 ? 48 : 16) + (j >> 1) * 32;
      const scale = j < 4 ? own(4 + j) & 63 : (own(8 + j) & 15) | ((own(j) >> 6) << 4);
      const minimum = j < 4 ? own(8 + j) & 63 : (own(8 + j) >> 4) | ((own(4 + j) >> 6) << 4);
      return {
        values: fromTo(
          (i) => ((own(low + i) >> ((j & 1) * 4)) & 15) | (bits === 5 ? ((own(16 + i) >> j) & 1) << 4 : 0),
        ),
        scales: [
          [row, scale],
          [16 + row, minimum],
        ],
        nested: [...halfAt(0, 0), ...halfAt(2, 32)],
      };
    }
    case "halved": {
      const low = 64 * (j >> 2) + 32 * (j & 1);
      const high = 128 + 32 * (j >> 2);
      return {
        values: fromTo(
          (i) => ((own(low + i) >> (((j & 3) >> 1) * 4)) & 15) | (((own(high + i) >> (2 * (j & 3))) & 3) << 4),
        ),
        scales: [
          [row, own(192 + 2 * j)],
          [16 + row, own(193 + 2 * j)],
        ],
        nested: halfAt(208, 0),
      };
    }
    default:
      return scales satisfies never;
  }
};

/** value = scale · (u − offset) − minimum, for the 32 values of one block of a row. */
const widenBlock = (form: BlockForm, bytes: Uint8Array, k: number, row: number, block: number): Float32Array => {
  const { values, scales, nested } = placesOf(form, k, row, block);
  const r = row % panelRows;
  const number = (i: number): number => valueAt(form, bytes, values, row, i) - form.offset;
  switch (form.scales) {
    case "offset":
    case "minimum": {
      const d = half(bytes, scales + 2 * r);
      // Without a minimum, −0 is added, because this keeps a value of −0.
      const m = form.scales === "minimum" ? half(bytes, scales + 32 + 2 * r) : -0;
      return Float32Array.from(fromTo((i) => d * number(i) + m));
    }
    case "nested": {
      const scale = half(bytes, nested + 2 * r) * byte(bytes, scales + r);
      const minimum = half(bytes, nested + 32 + 2 * r) * byte(bytes, scales + 16 + r);
      return Float32Array.from(fromTo((i) => scale * number(i) - minimum));
    }
    case "halved": {
      const d = half(bytes, nested + 2 * r);
      return Float32Array.from(fromTo((i) => d * signed(bytes, scales + (i & 16) + r) * number(i)));
    }
    default:
      return form.scales satisfies never;
  }
};

const roundTiesToEven = (x: number): number => {
  const down = Math.floor(x);
  const part = x - down;
  if (part !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
};

/**
 * A row of x as the product uses it: whole numbers, and one scale for each 32 numbers. All backends compute them in
 * float32.
 */
const roundRow = (x: RealArray, from: number, k: number): Float64Array => {
  const out = new Float64Array(k);
  for (let block = 0; block < k; block += blockValues) {
    let most = 0;
    let poison = 0;
    for (let i = 0; i < blockValues; i++) {
      const value = Math.fround(x[from + block + i] as number);
      most = Math.max(most, Math.abs(value));
      poison += value * 0;
    }
    const inverse = most > 0 ? Math.fround(127 / most) : 0;
    const factor = inverse <= 2 ** 126 ? inverse : 0;
    const scale = Math.fround(most / 127) + poison;
    for (let i = 0; i < blockValues; i++) {
      const scaled = Math.fround(Math.fround(x[from + block + i] as number) * factor);
      out[block + i] = roundTiesToEven(scaled) * scale;
    }
  }
  return out;
};

export const blocks: HostKernels<"blocksPack" | "blocksRows" | "blocksLinearForward"> = {
  blocksPack({ x, y, rows, k, form: number }) {
    const form = formOf(number);
    const from = bytesOf(x);
    const to = bytesOf(y);
    to.fill(0);
    const rowBytes = Math.ceil(k / form.fileValues) * form.fileBytes;
    for (let row = 0; row < rows; row++) {
      for (let block = 0; block < k / blockValues; block++) {
        const places = placesOf(form, k, row, block);
        const own = fileBlock(form, from, row * rowBytes, block, row % panelRows);
        for (const [at, value] of own.scales) to[places.scales + at] = value;
        for (const [at, value] of own.nested) to[places.nested + at] = value;
        for (const [i, value] of own.values.entries()) {
          bitsOfValue(form, row, i, (at, shift, mask, part) => {
            const place = places.values + at;
            to[place] = byte(to, place) | (((value >> part) & mask) << shift);
          });
        }
      }
    }
  },

  blocksRows({ w, ids, y, rows, n, k, first, form: number }) {
    const form = formOf(number);
    const bytes = bytesOf(w);
    for (let r = 0; r < rows; r++) {
      const row = Math.min(Math.max(ids === null ? first + r : (ids[r] as number), 0), n - 1);
      for (let block = 0; block < k / blockValues; block++)
        y.set(widenBlock(form, bytes, k, row, block), r * k + block * blockValues);
    }
  },

  blocksLinearForward({ x, w, bias, addend, y, m, n, k, yStride, form: number }) {
    const form = formOf(number);
    const bytes = bytesOf(w);
    const rows = Array.from({ length: m }, (_, i) => roundRow(x, i * k, k));
    const weights = new Float64Array(k);
    for (let j = 0; j < n; j++) {
      for (let block = 0; block < k / blockValues; block++)
        weights.set(widenBlock(form, bytes, k, j, block), block * blockValues);
      for (const [i, row] of rows.entries()) {
        let sum = bias === null ? 0 : (bias[j] as number);
        for (let at = 0; at < k; at++) sum += (row[at] as number) * (weights[at] as number);
        y[i * yStride + j] = sum + (addend === null ? 0 : (addend[i * yStride + j] as number));
      }
    }
  },
};
