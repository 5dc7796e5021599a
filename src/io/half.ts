/** Sixteen-bit floats, for which JavaScript has no array, widened to float32. Every value is exact. */

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** The float32 of IEEE 754 binary16 bits: 1 sign, 5 exponent, 10 fraction. */
const fromHalf = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
};

/** The float32 of bfloat16 bits: the upper half of a float32. */
const fromBfloat16 = (bits: number): number => {
  word[0] = bits << 16;
  return float[0] as number;
};

const widen =
  (convert: (bits: number) => number) =>
  (bytes: Uint8Array): Float32Array => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const out = new Float32Array(bytes.byteLength / 2);
    for (let i = 0; i < out.length; i++) out[i] = convert(view.getUint16(2 * i, true));
    return out;
  };

/** Widens little-endian binary16 values. */
export const float32FromHalf = widen(fromHalf);
/** Widens little-endian bfloat16 values. */
export const float32FromBfloat16 = widen(fromBfloat16);
