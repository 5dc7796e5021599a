export type RealDType = "float32" | "float64";
/**
 * Element types of device buffers. `float64` exists only on the reference backend, for gradient checks. `bfloat16`
 * exists on backends that multiply bfloat16 directly. These backends use it for activations between products.
 */
export type DType = RealDType | "bfloat16" | "int32";

/**
 * Number format of the operands of matrix products. Sums and all other values are float32. The format bfloat16 has the
 * range of float32, but only 8 bits of precision. It is faster if the CPU multiplies bfloat16 directly.
 */
export type ProductDType = "float32" | "bfloat16";

export const dtypeChoices = ["auto", "float32", "bfloat16"] as const satisfies readonly (ProductDType | "auto")[];
/** Number format of the operands of products. `auto` takes the format that is faster on the backend. */
export type DTypeChoice = (typeof dtypeChoices)[number];

export type HostArray = Float32Array | Float64Array | Int32Array;
/** Host data for a backend. Arrays of 16-bit words are bfloat16, as in files. */
export type HostData = HostArray | Uint16Array;
export type RealArray = Float32Array | Float64Array;

export const bytesPerElement = { float32: 4, float64: 8, bfloat16: 2, int32: 4 } as const satisfies Record<
  DType,
  number
>;

/** Machine epsilon, the distance from 1 to the next larger value. Tolerances use it. */
export const epsilon = { float32: 2 ** -23, float64: 2 ** -52, bfloat16: 2 ** -7 } as const satisfies Record<
  RealDType | ProductDType,
  number
>;

/** A host array of `length` zeros. On the host bfloat16 is stored as float32; backends convert it. */
export const hostArray = (dtype: DType, length: number): HostArray => {
  switch (dtype) {
    case "float32":
    case "bfloat16":
      return new Float32Array(length);
    case "float64":
      return new Float64Array(length);
    case "int32":
      return new Int32Array(length);
  }
};

/** Rounds each value to float32, then to the nearest bfloat16, ties to even. NaN stays NaN. */
export const toBfloat16 = (values: ArrayLike<number>): Uint16Array => {
  const singles = values instanceof Float32Array ? values : new Float32Array(values);
  // The words are signed. V8 stores unsigned 32-bit words as doubles, which is several times slower.
  const words = new Int32Array(singles.buffer, singles.byteOffset, singles.length);
  const narrow = new Uint16Array(words.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as number;
    const notANumber = (word & 0x7fffffff) > 0x7f800000;
    narrow[i] = notANumber ? (word >> 16) | 0x40 : ((word + 0x7fff + ((word >> 16) & 1)) | 0) >> 16;
  }
  return narrow;
};

/** Converts bfloat16 to float32, exactly. */
export const fromBfloat16 = (narrow: Uint16Array): Float32Array => {
  const words = new Uint32Array(narrow.length);
  for (let i = 0; i < words.length; i++) words[i] = (narrow[i] as number) << 16;
  return new Float32Array(words.buffer);
};
