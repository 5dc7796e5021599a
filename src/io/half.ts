/**
 * Converts 16-bit floats, because JavaScript has no array type for them. Conversion to float32 is exact. Conversion
 * from float32 rounds.
 */

/** Converts IEEE 754 binary16 bits (1 sign, 5 exponent, 10 fraction) to a number. */
const fromHalf = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
};

let halves: Float32Array | undefined;

/**
 * Table of the float32 values of all binary16 numbers: 256 kB, built at the first use. A look-up is several times
 * faster than the formula.
 */
const allHalves = (): Float32Array => {
  halves ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => fromHalf(bits));
  return halves;
};

/** Views little-endian bytes as 16-bit words; copies the bytes if they are not aligned. */
export const wordsOf = (bytes: Uint8Array): Uint16Array =>
  bytes.byteOffset % 2 === 0
    ? new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 1)
    : new Uint16Array(new Uint8Array(bytes).buffer, 0, bytes.byteLength >> 1);

/** Converts little-endian binary16 values to float32. */
export const float32FromHalf = (bytes: Uint8Array): Float32Array => {
  const words = wordsOf(bytes);
  const table = allHalves();
  const out = new Float32Array(words.length);
  for (let i = 0; i < out.length; i++) out[i] = table[words[i] as number] as number;
  return out;
};

/** Converts little-endian bfloat16 values to float32. A bfloat16 value is the upper half of a float32. */
export const float32FromBfloat16 = (bytes: Uint8Array): Float32Array => {
  const words = wordsOf(bytes);
  // The array is an Int32Array: V8 represents unsigned 32-bit values as doubles, which is several times slower.
  const out = new Int32Array(words.length);
  for (let i = 0; i < out.length; i++) out[i] = (words[i] as number) << 16;
  return new Float32Array(out.buffer);
};

const single = new Float32Array(1);
const singleBits = new Int32Array(single.buffer);

/**
 * Rounds a number to the nearest binary16 number, ties to even, and returns its bits. A number of 65,520 or more
 * becomes infinite.
 */
export const halfBits = (value: number): number => {
  single[0] = value;
  const bits = singleBits[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const fraction = bits & 0x7fffff;
  if (exponent === 0xff && fraction !== 0) return sign | 0x7e00;
  if (exponent >= 143) return sign | 0x7c00;
  // Below 2^−14, the step is 2^−24. Adding 2^28 to a double rounds it to a multiple of this step.
  if (exponent < 113) return sign | ((Math.abs(single[0] as number) + 2 ** 28 - 2 ** 28) * 2 ** 24);
  const down = ((exponent - 112) << 10) | (fraction >> 13);
  const rest = fraction & 0x1fff;
  // If rounding carries into the exponent, the result is still correct.
  return sign | (rest > 0x1000 || (rest === 0x1000 && (down & 1) === 1) ? down + 1 : down);
};

/** Returns the number with these binary16 bits. */
export const halfValue = (bits: number): number => allHalves()[bits] as number;

/** Rounds float32 values to little-endian binary16. */
export const halfFromFloat32 = (values: Float32Array): Uint8Array => {
  const words = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) words[i] = halfBits(values[i] as number);
  return new Uint8Array(words.buffer);
};
