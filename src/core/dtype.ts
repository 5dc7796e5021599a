/** Element types of device buffers. `float64` exists on the reference backend only, for gradient checks. */
export type DType = "float32" | "float64" | "int32";
export type RealDType = Exclude<DType, "int32">;

/**
 * What the operands of matrix products are rounded to; sums and all else are float32. bfloat16 has the range of float32 with
 * 8 bits of precision, and is faster where the CPU multiplies it directly.
 */
export type ProductDType = "float32" | "bfloat16";

export const dtypeChoices = ["auto", "float32", "bfloat16"] as const satisfies readonly (ProductDType | "auto")[];
/** What operands of products are rounded to, or that which is faster on the backend. */
export type DTypeChoice = (typeof dtypeChoices)[number];

export type HostArray = Float32Array | Float64Array | Int32Array;
export type RealArray = Float32Array | Float64Array;

export const bytesPerElement = { float32: 4, float64: 8, int32: 4 } as const satisfies Record<DType, number>;

/** Machine epsilon (distance from 1 to the next value), for tolerances. */
export const epsilon = { float32: 2 ** -23, float64: 2 ** -52, bfloat16: 2 ** -7 } as const satisfies Record<
  RealDType | ProductDType,
  number
>;

/** A zeroed host array of `length` elements. */
export const hostArray = (dtype: DType, length: number): HostArray => {
  switch (dtype) {
    case "float32":
      return new Float32Array(length);
    case "float64":
      return new Float64Array(length);
    case "int32":
      return new Int32Array(length);
  }
};
