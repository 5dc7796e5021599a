/**
 * Decodes the tensors of GGUF files to float32. Block layouts and formulas are the same as in ggml
 * (https://github.com/ggml-org/ggml, block layouts and quants). A block of 32 or 256 numbers contains one or two scales
 * in binary16 and a few bits per number. Each number is rounded to float32 at most once, as in ggml.
 */
import { float32FromBfloat16, float32FromHalf } from "../half.ts";

/** A block encoding of numbers. */
export interface Encoding {
  readonly name: string;
  /** Numbers per block. */
  readonly blockLength: number;
  /** Bytes per block. */
  readonly blockBytes: number;
  /** Decodes whole blocks to float32, in a new array. */
  readonly widen: (bytes: Uint8Array) => Float32Array;
}

let halves: Float32Array | undefined;

/** Table of the float32 values of all binary16 numbers. The table is built at its first use. */
const allHalves = (): Float32Array => {
  halves ??= float32FromHalf(new Uint8Array(Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits).buffer));
  return halves;
};

/**
 * Decodes one block. `at` is the index of the block's first byte. `to` is the index of the block's first number in
 * `out`.
 */
type WidenBlock = (bytes: Uint8Array, at: number, out: Float32Array, to: number, half: (at: number) => number) => void;

const blocks = (name: string, blockLength: number, blockBytes: number, widenBlock: WidenBlock): Encoding => ({
  ...{ name, blockLength, blockBytes },
  widen: (bytes) => {
    const count = Math.floor(bytes.length / blockBytes);
    const out = new Float32Array(count * blockLength);
    const table = allHalves();
    const half = (at: number): number => table[(bytes[at] as number) | ((bytes[at + 1] as number) << 8)] as number;
    for (let i = 0; i < count; i++) widenBlock(bytes, i * blockBytes, out, i * blockLength, half);
    return out;
  },
});

/**
 * Decodes four bits per number. A number is d·(q − 8). The low halves of 16 bytes contain the first 16 numbers. The
 * high halves contain the other 16 numbers.
 */
const q4Zero: WidenBlock = (bytes, at, out, to, half) => {
  const d = half(at);
  for (let i = 0; i < 16; i++) {
    const pair = bytes[at + 2 + i] as number;
    out[to + i] = d * ((pair & 15) - 8);
    out[to + 16 + i] = d * ((pair >> 4) - 8);
  }
};

/** Decodes four bits per number. A number is d·q + m. */
const q4One: WidenBlock = (bytes, at, out, to, half) => {
  const d = half(at);
  const m = half(at + 2);
  for (let i = 0; i < 16; i++) {
    const pair = bytes[at + 4 + i] as number;
    out[to + i] = d * (pair & 15) + m;
    out[to + 16 + i] = d * (pair >> 4) + m;
  }
};

/** The fifth bits of a block's 32 numbers, as one integer. */
const bitsAt = (bytes: Uint8Array, at: number): number =>
  (bytes[at] as number) |
  ((bytes[at + 1] as number) << 8) |
  ((bytes[at + 2] as number) << 16) |
  ((bytes[at + 3] as number) << 24);

/** Decodes five bits per number. A number is d·(q − 16). */
const q5Zero: WidenBlock = (bytes, at, out, to, half) => {
  const d = half(at);
  const high = bitsAt(bytes, at + 2);
  for (let i = 0; i < 16; i++) {
    const pair = bytes[at + 6 + i] as number;
    out[to + i] = d * (((pair & 15) | (((high >>> i) & 1) << 4)) - 16);
    out[to + 16 + i] = d * (((pair >> 4) | (((high >>> (i + 16)) & 1) << 4)) - 16);
  }
};

/** Decodes five bits per number. A number is d·q + m. */
const q5One: WidenBlock = (bytes, at, out, to, half) => {
  const d = half(at);
  const m = half(at + 2);
  const high = bitsAt(bytes, at + 4);
  for (let i = 0; i < 16; i++) {
    const pair = bytes[at + 8 + i] as number;
    out[to + i] = d * ((pair & 15) | (((high >>> i) & 1) << 4)) + m;
    out[to + 16 + i] = d * ((pair >> 4) | (((high >>> (i + 16)) & 1) << 4)) + m;
  }
};

const signed = (byte: number): number => (byte << 24) >> 24;

/** Decodes eight bits per number. A number is d·q. */
const q8Zero: WidenBlock = (bytes, at, out, to, half) => {
  const d = half(at);
  for (let i = 0; i < 32; i++) out[to + i] = d * signed(bytes[at + 2 + i] as number);
};

/**
 * Scale j of a block of 256 numbers. Each of the 8 groups of 32 numbers has a six-bit scale and a six-bit minimum. The
 * scales and minima are packed into 12 bytes:
 * - bytes 0–3: scales 0–3 in the low six bits, and the upper two bits of scales 4–7
 * - bytes 4–7: minima 0–3 in the low six bits, and the upper two bits of minima 4–7
 * - bytes 8–11: the low four bits of scales 4–7, and of minima 4–7
 */
const scaleOf = (bytes: Uint8Array, at: number, j: number): number =>
  j < 4
    ? (bytes[at + j] as number) & 63
    : ((bytes[at + j + 4] as number) & 15) | (((bytes[at + j - 4] as number) >> 6) << 4);
const minimumOf = (bytes: Uint8Array, at: number, j: number): number =>
  j < 4
    ? (bytes[at + j + 4] as number) & 63
    : ((bytes[at + j + 4] as number) >> 4) | (((bytes[at + j] as number) >> 6) << 4);

/** Decodes four bits per number. A number is d·scale·q − dmin·minimum. */
const q4K: WidenBlock = (bytes, at, out, to, half) => {
  const [d, dmin] = [half(at), half(at + 2)];
  for (let j = 0; j < 8; j++) {
    const scale = d * scaleOf(bytes, at + 4, j);
    const minimum = dmin * minimumOf(bytes, at + 4, j);
    const [from, shift] = [at + 16 + (j >> 1) * 32, (j & 1) * 4];
    for (let i = 0; i < 32; i++) {
      out[to + 32 * j + i] = scale * (((bytes[from + i] as number) >> shift) & 15) - minimum;
    }
  }
};

/**
 * Decodes five bits per number. A number is d·scale·q − dmin·minimum. The fifth bits are in 32 bytes: bit j of each
 * byte belongs to a number of group j.
 */
const q5K: WidenBlock = (bytes, at, out, to, half) => {
  const [d, dmin] = [half(at), half(at + 2)];
  for (let j = 0; j < 8; j++) {
    const scale = d * scaleOf(bytes, at + 4, j);
    const minimum = dmin * minimumOf(bytes, at + 4, j);
    const [from, shift] = [at + 48 + (j >> 1) * 32, (j & 1) * 4];
    for (let i = 0; i < 32; i++) {
      const low = ((bytes[from + i] as number) >> shift) & 15;
      const high = ((bytes[at + 16 + i] as number) >> j) & 1;
      out[to + 32 * j + i] = scale * (low | (high << 4)) - minimum;
    }
  }
};

/**
 * Decodes six bits per number. A number is d·scale·(q − 32), with an eight-bit scale for every 16 numbers. For every
 * 128 numbers, 64 bytes contain the low four bits, two numbers per byte. Another 32 bytes contain the upper two bits,
 * four numbers per byte.
 */
const q6K: WidenBlock = (bytes, at, out, to, half) => {
  const d = half(at + 208);
  for (let j = 0; j < 8; j++) {
    const [hundred, quarter] = [j >> 2, j & 3];
    const low = at + 64 * hundred + 32 * (quarter & 1);
    const lowShift = (quarter >> 1) * 4;
    const high = at + 128 + 32 * hundred;
    for (let i = 0; i < 32; i++) {
      const scale = d * signed(bytes[at + 192 + 2 * j + (i >> 4)] as number);
      const four = ((bytes[low + i] as number) >> lowShift) & 15;
      const two = ((bytes[high + i] as number) >> (2 * quarter)) & 3;
      out[to + 32 * j + i] = scale * ((four | (two << 4)) - 32);
    }
  }
};

/** Returns a float32 view of the bytes, or a copy if the bytes are not aligned. */
const float32Of = (bytes: Uint8Array): Float32Array =>
  bytes.byteOffset % 4 === 0
    ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2)
    : new Float32Array(new Uint8Array(bytes).buffer);

/** Supported encodings, by their type numbers in a file. */
export const encodings: ReadonlyMap<number, Encoding> = new Map<number, Encoding>([
  [0, { name: "F32", blockLength: 1, blockBytes: 4, widen: float32Of }],
  [1, { name: "F16", blockLength: 1, blockBytes: 2, widen: float32FromHalf }],
  [2, blocks("Q4_0", 32, 18, q4Zero)],
  [3, blocks("Q4_1", 32, 20, q4One)],
  [6, blocks("Q5_0", 32, 22, q5Zero)],
  [7, blocks("Q5_1", 32, 24, q5One)],
  [8, blocks("Q8_0", 32, 34, q8Zero)],
  [12, blocks("Q4_K", 256, 144, q4K)],
  [13, blocks("Q5_K", 256, 176, q5K)],
  [14, blocks("Q6_K", 256, 210, q6K)],
  [30, { name: "BF16", blockLength: 1, blockBytes: 2, widen: float32FromBfloat16 }],
]);

/** Names of unsupported encodings, for errors. */
const others = new Map([
  [9, "Q8_1"],
  [10, "Q2_K"],
  [11, "Q3_K"],
  [15, "Q8_K"],
  [16, "IQ2_XXS"],
  [17, "IQ2_XS"],
  [18, "IQ3_XXS"],
  [19, "IQ1_S"],
  [20, "IQ4_NL"],
  [21, "IQ3_S"],
  [22, "IQ2_S"],
  [23, "IQ4_XS"],
  [24, "I8"],
  [25, "I16"],
  [26, "I32"],
  [27, "I64"],
  [28, "F64"],
  [29, "IQ1_M"],
  [34, "TQ1_0"],
  [35, "TQ2_0"],
  [39, "MXFP4"],
]);

/** Display name of an encoding. */
export const encodingName = (type: number): string => encodings.get(type)?.name ?? others.get(type) ?? `type ${type}`;
