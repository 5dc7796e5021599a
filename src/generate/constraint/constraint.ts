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

/** One special token. It is no text, so its name in a text of another kind is not this token. */
export interface TokenConstraint {
  /** Its kind. */
  readonly kind: "token";
  /** The name of a special token of the model. */
  readonly name: string;
}

/** Some texts, one after the other, with nothing between. */
export interface SequenceConstraint {
  /** Its kind. */
  readonly kind: "sequence";
  /** What each of them must be. */
  readonly parts: readonly Constraint[];
}

/** A text that one of some constraints allows. */
export interface EitherConstraint {
  /** Its kind. */
  readonly kind: "either";
  /** The constraints, one or more. */
  readonly options: readonly Constraint[];
}

/** A text, any number of times, with nothing between. */
export interface RepeatConstraint {
  /** Its kind. */
  readonly kind: "repeat";
  /** What each of them must be. It must not be empty. */
  readonly part: Constraint;
}

/** Any text, until a marker comes. Special tokens other than the marker are not in it. Only a whole constraint is one. */
export interface TriggerConstraint {
  /** Its kind. */
  readonly kind: "trigger";
  /** The text that is waited for. A special token of this name is one, too. */
  readonly marker: string;
  /** The marker counts at the beginning of the text alone, behind spaces. Default false: anywhere. */
  readonly atStart?: boolean | undefined;
  /** What all that follows the marker must be. */
  readonly rest: Constraint;
}

/** What the text that a model writes must be. */
export type Constraint =
  | JsonSchemaConstraint
  | JsonConstraint
  | GrammarConstraint
  | RegexConstraint
  | ChoiceConstraint
  | TokenConstraint
  | SequenceConstraint
  | EitherConstraint
  | RepeatConstraint
  | TriggerConstraint;

const inner: z.ZodType<Constraint> = z.lazy(() => constraintSchema) as z.ZodType<Constraint>;

/** A constraint as JSON has it. */
export const constraintSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("jsonSchema"), schema: z.unknown() }),
  z.strictObject({ kind: z.literal("json") }),
  z.strictObject({ kind: z.literal("grammar"), grammar: z.string().min(1) }),
  z.strictObject({ kind: z.literal("regex"), pattern: z.string() }),
  z.strictObject({ kind: z.literal("choice"), choices: z.array(z.string().min(1)).min(1) }),
  z.strictObject({ kind: z.literal("token"), name: z.string().min(1) }),
  z.strictObject({ kind: z.literal("sequence"), parts: z.array(inner) }),
  z.strictObject({ kind: z.literal("either"), options: z.array(inner).min(1) }),
  z.strictObject({ kind: z.literal("repeat"), part: inner }),
  z.strictObject({
    kind: z.literal("trigger"),
    marker: z.string().min(1),
    atStart: z.boolean().optional(),
    rest: inner,
  }),
]);

/** An object with a constraint, as options have it: apart from other options, whose schema has a function in it. */
const formSchema = z.strictObject({ constraint: constraintSchema.optional() });

/** @throws ConfigError for what is no constraint. @param where the object that has it, for the error. */
export const parseConstraint = (constraint: unknown, where: string): Constraint | undefined =>
  parseConfig(formSchema, withoutUndefined({ constraint }), where).constraint;
