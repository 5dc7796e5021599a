/** Texts and objects of requests, which every endpoint reads alike. */
import { z } from "zod";
import { loneSurrogateAt, wellFormedText } from "../../core/text/surrogate.ts";

export const promptText = z
  .string({ error: "must be a text" })
  .refine((text) => loneSurrogateAt(text) === -1, wellFormedText);

/** An object of these fields alone: one that is not known would be dropped. */
export const known = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape, {
    error: ({ code, keys }) =>
      code === "unrecognized_keys"
        ? `must have known fields alone, not ${(keys ?? []).join(", ")}`
        : "must be an object",
  });
