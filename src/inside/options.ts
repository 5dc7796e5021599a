/** Schemas of options that several files of this folder use. */
import { z } from "zod";

/** A whole number from 0 to count − 1. */
export const below = (count: number) =>
  z
    .int()
    .min(0)
    .max(count - 1);

/** A list of numbers from 0 to count − 1. By default, it contains all these numbers. */
export const someBelow = (count: number) =>
  z
    .array(below(count))
    .refine(({ length }) => length > 0, { error: "must have at least one element" })
    .default(Array.from({ length: count }, (_, i) => i));
