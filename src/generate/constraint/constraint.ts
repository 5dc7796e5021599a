import { z } from "zod";
import { parseConfig } from "../../core/checks/config.ts";
import { lazy } from "../../core/lazy.ts";

/** A JSON value that a JSON Schema allows. */
export interface JsonSchemaConstraint {
  /** Its kind. */
  readonly kind: "jsonSchema";
  /** The schema: an object, true or false. Keywords that would have no effect are refused. */
  readonly schema: unknown;
}

/** Any JSON object or array. */
export interface JsonConstraint {
  /** Its kind. */
  readonly kind: "json";
}

/** A text that a grammar allows. */
export interface GrammarConstraint {
  /** Its kind. */
  readonly kind: "grammar";
  /** Rules in EBNF, `name ::= expression`. The rule `root` describes the text. */
  readonly grammar: string;
}

/** A text that matches a regular expression as a whole. */
export interface RegexConstraint {
  /** Its kind. */
  readonly kind: "regex";
  /** A JavaScript regular expression with the flag "u", without lookaround, backreferences and `\b`. */
  readonly pattern: string;
}

/** One of several given texts. */
export interface ChoiceConstraint {
  /** Its kind. */
  readonly kind: "choice";
  /** The texts: one or more. A text must not be empty. */
  readonly choices: readonly string[];
}

/** One special token. Ordinary text with the token's name is not this token. */
export interface TokenConstraint {
  /** Its kind. */
  readonly kind: "token";
  /** The name of a special token of the model. */
  readonly name: string;
}

/** Several parts, directly one after the other. */
export interface SequenceConstraint {
  /** Its kind. */
  readonly kind: "sequence";
  /** A constraint for each part. */
  readonly parts: readonly Constraint[];
}

/** A text that at least one of several constraints allows. */
export interface EitherConstraint {
  /** Its kind. */
  readonly kind: "either";
  /** The constraints: one or more. */
  readonly options: readonly Constraint[];
}

/** Repetitions of a part, directly one after the other. Any number is allowed, including zero. */
export interface RepeatConstraint {
  /** Its kind. */
  readonly kind: "repeat";
  /** The constraint for each repetition. This constraint must not allow the empty text. */
  readonly part: Constraint;
}

/**
 * Any text until a marker appears. After the marker, the constraint `rest` applies. The marker is the only special
 * token in the text. A trigger must be the whole constraint, not a part of another constraint.
 */
export interface TriggerConstraint {
  /** Its kind. */
  readonly kind: "trigger";
  /** The text of the marker. A special token with this name is a marker too. */
  readonly marker: string;
  /**
   * True: the marker counts only at the beginning of the text. Spaces may come before it. False (default): the marker
   * counts anywhere.
   */
  readonly atStart?: boolean | undefined;
  /** The constraint for all text after the marker. */
  readonly rest: Constraint;
}

/** A rule for the text that a model writes. */
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

const inner: z.ZodType<Constraint> = z.lazy(() => constraintSchema()) as z.ZodType<Constraint>;

/** The schema that a constraint in JSON must meet. */
export const constraintSchema = lazy(() =>
  z.discriminatedUnion("kind", [
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
  ]),
);

/**
 * The option `constraint` has a separate object schema, because the schema of the other options contains a function.
 */
const formSchema = lazy(() => z.strictObject({ constraint: constraintSchema().optional() }));

/**
 * @throws ConfigError if the value is not a constraint. @param where the object that has the constraint, for errors.
 */
export const parseConstraint = (constraint: unknown, where: string): Constraint | undefined =>
  constraint === undefined ? undefined : parseConfig(formSchema(), { constraint }, where).constraint;
