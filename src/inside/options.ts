/** Parts of the schemas of options in this folder. */
import { z } from "zod";

/** A whole number from 0 to count − 1. */
export const below = (count: number) =>
  z
    .int()
    .min(0)
    .max(count - 1);

/** A list of such numbers; all of them unless given. */
export const someBelow = (count: number) =>
  z
    .array(below(count))
    .refine(({ length }) => length > 0, { error: "must have one or more" })
    .default(Array.from({ length: count }, (_, i) => i));
