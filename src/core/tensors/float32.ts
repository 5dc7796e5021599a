import { z } from "zod";

/** The largest finite float32. */
export const largestFloat32 = (2 - 2 ** -23) * 2 ** 127;

const smallest = "1.4e-45";

/**
 * Schema of a number that is at least 0 and that a kernel takes as float32. A number above the maximum would become
 * infinite in float32.
 */
export const float32FromZero = () => z.number().min(0).max(largestFloat32);

/** Schema of a number above 0 that a kernel takes as float32. In float32, the number must not be infinite or 0. */
export const positiveFloat32 = () =>
  z
    .number()
    .positive()
    .max(largestFloat32)
    .refine((value) => Math.fround(value) !== 0, {
      error: ({ input }) =>
        `must not become 0 in float32, whose smallest positive number is ${smallest}; got ${String(input)}`,
    });
