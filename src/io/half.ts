/** Sixteen-bit floats, for which JavaScript has no array, widened to float32. Every value is exact. */

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
