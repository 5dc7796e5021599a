/** Sixteen-bit floats, for which JavaScript has no array: widened to float32, which is exact, and float32 rounded to them. */

/** The float32 of IEEE 754 binary16 bits: 1 sign, 5 exponent, 10 fraction. */
const fromHalf = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
};

let halves: Float32Array | undefined;

/** The float32 of every binary16: 256 kB, made when it is first needed. A look-up is several times faster than the formula. */
const allHalves = (): Float32Array => {
  halves ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => fromHalf(bits));
  return halves;
};

/** The 16-bit words of little-endian bytes: a view if they are aligned. */
export const wordsOf = (bytes: Uint8Array): Uint16Array =>
  bytes.byteOffset % 2 === 0
    ? new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 1)
    : new Uint16Array(new Uint8Array(bytes).buffer, 0, bytes.byteLength >> 1);

/** Widens little-endian binary16 values. */
export const float32FromHalf = (bytes: Uint8Array): Float32Array => {
  const words = wordsOf(bytes);
  const table = allHalves();
  const out = new Float32Array(words.length);
  for (let i = 0; i < out.length; i++) out[i] = table[words[i] as number] as number;
  return out;
};

/** Widens little-endian bfloat16 values: each is the upper half of a float32. */
export const float32FromBfloat16 = (bytes: Uint8Array): Float32Array => {
  const words = wordsOf(bytes);
  // Signed words: V8 has unsigned ones of 32 bits as doubles, which takes several times as long.
  const out = new Int32Array(words.length);
  for (let i = 0; i < out.length; i++) out[i] = (words[i] as number) << 16;
  return new Float32Array(out.buffer);
};

const single = new Float32Array(1);
const singleBits = new Int32Array(single.buffer);

/** The binary16 bits of a number, rounded to nearest, ties to even; beyond 65,504 and a half step it is infinite. */
export const halfBits = (value: number): number => {
  single[0] = value;
  const bits = singleBits[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const fraction = bits & 0x7fffff;
  if (exponent === 0xff && fraction !== 0) return sign | 0x7e00;
  if (exponent >= 143) return sign | 0x7c00;
  // Below 2^−14 the steps are 2^−24. Adding 2^28 rounds a double to such steps.
  if (exponent < 113) return sign | ((Math.abs(single[0] as number) + 2 ** 28 - 2 ** 28) * 2 ** 24);
  const down = ((exponent - 112) << 10) | (fraction >> 13);
  const rest = fraction & 0x1fff;
  // A carry goes to the exponent, as it must.
  return sign | (rest > 0x1000 || (rest === 0x1000 && (down & 1) === 1) ? down + 1 : down);
};

/** The number that binary16 bits stand for. */
export const halfValue = (bits: number): number => allHalves()[bits] as number;

/** Rounds to binary16, little-endian. */
export const halfFromFloat32 = (values: Float32Array): Uint8Array => {
  const words = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) words[i] = halfBits(values[i] as number);
  return new Uint8Array(words.buffer);
};
