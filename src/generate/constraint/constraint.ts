import { z } from "zod";
import { parseConfig, withoutUndefined } from "../../core/checks/config.ts";

/** One value of JSON that a JSON Schema allows. */
export interface JsonSchemaConstraint {
  /** Its kind. */
  readonly kind: "jsonSchema";
  /** The schema: an object, true or false. Keywords without effect are refused. */
  readonly schema: unknown;
}

/** A JSON object or array of any form. */
export interface JsonConstraint {
  /** Its kind. */
  readonly kind: "json";
}

/** A text of a grammar. */
export interface GrammarConstraint {
  /** Its kind. */
  readonly kind: "grammar";
  /** Rules in EBNF, `name ::= expression`; a text is one of the rule `root`. */
  readonly grammar: string;
}

/** A text that a regular expression matches whole. */
export interface RegexConstraint {
  /** Its kind. */
  readonly kind: "regex";
  /** A JavaScript regular expression, as with its flag "u"; without lookaround, references and `\b`. */
  readonly pattern: string;
}

/** One of some texts. */
export interface ChoiceConstraint {
  /** Its kind. */
  readonly kind: "choice";
  /** The texts, one or more, none of them empty. */
  readonly choices: readonly string[];
}

/** What the text that a model writes must be. */
export type Constraint = JsonSchemaConstraint | JsonConstraint | GrammarConstraint | RegexConstraint | ChoiceConstraint;

/** A constraint as JSON has it. */
export const constraintSchema = z.discriminatedUnion("kind", [
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
