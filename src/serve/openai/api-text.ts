/** Schemas for the texts and objects in requests. All endpoints share them. */
import { z } from "zod";
import { loneSurrogateAt, wellFormedText } from "../../core/text/surrogate.ts";

export const promptText = z
  .string({ error: "must be a string" })
  .refine((text) => loneSurrogateAt(text) === -1, wellFormedText);

/**
 * An object that may have only these fields. Unknown fields are refused. Without this check, zod would silently drop
 * unknown fields.
 */
export const known = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape, {
    error: ({ code, keys }) =>
      code === "unrecognized_keys"
        ? `must have only known fields, not ${(keys ?? []).join(", ")}`
        : "must be an object",
  });
