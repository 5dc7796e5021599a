import { z } from "zod";
import { parseConfig, withoutUndefined } from "../../core/checks/config.ts";

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

const constraintSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("jsonSchema"), schema: z.unknown() }),
  z.strictObject({ kind: z.literal("json") }),
  z.strictObject({ kind: z.literal("grammar"), grammar: z.string().min(1) }),
  z.strictObject({ kind: z.literal("regex"), pattern: z.string() }),
  z.strictObject({ kind: z.literal("choice"), choices: z.array(z.string().min(1)).min(1) }),
]);

/** An object with a constraint, as options have it: apart from other options, whose schema has a function in it. */
const formSchema = z.strictObject({ constraint: constraintSchema.optional() });

/** @throws ConfigError for what is no constraint. @param where the object that has it, for the error. */
export const parseConstraint = (constraint: unknown, where: string): Constraint | undefined =>
  parseConfig(formSchema, withoutUndefined({ constraint }), where).constraint;
