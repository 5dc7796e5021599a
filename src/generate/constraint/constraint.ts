import { z } from "zod";

/** What the text that a model writes must be. */
export type Constraint =
  /** One value of JSON that a JSON Schema allows. */
  | { readonly kind: "jsonSchema"; readonly schema: unknown }
  /** A JSON object or array of any form. */
  | { readonly kind: "json" }
  /** A text of a grammar in EBNF, whose first rule is `root`. */
  | { readonly kind: "grammar"; readonly grammar: string }
  /** A text that a JavaScript regular expression matches whole. */
  | { readonly kind: "regex"; readonly pattern: string }
  /** One of some texts. */
  | { readonly kind: "choice"; readonly choices: readonly string[] };

export const constraintSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("jsonSchema"), schema: z.unknown() }),
  z.strictObject({ kind: z.literal("json") }),
  z.strictObject({ kind: z.literal("grammar"), grammar: z.string().min(1) }),
  z.strictObject({ kind: z.literal("regex"), pattern: z.string() }),
  z.strictObject({ kind: z.literal("choice"), choices: z.array(z.string().min(1)).min(1) }),
]);
