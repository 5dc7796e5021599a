import { z } from "zod";

/** The largest finite float32. */
export const largestFloat32 = (2 - 2 ** -23) * 2 ** 127;

const smallest = "1.4e-45";

/** A number from 0 on that a kernel takes as float32: a too large one would be infinite there. */
export const float32FromZero = () => z.number().min(0).max(largestFloat32);

/** A number above 0 that a kernel takes as float32, where it must neither be infinite nor 0. */
export const positiveFloat32 = () =>
  z
    .number()
    .positive()
    .max(largestFloat32)
    .refine((value) => Math.fround(value) !== 0, {
      error: ({ input }) => `must not be 0 in float32, whose smallest number is ${smallest}; got ${String(input)}`,
    });
