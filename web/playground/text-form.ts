/** Form that a text must have, as chosen and typed. The form becomes a constraint for the server, or an error. */
import type { Constraint } from "../../src/generate/constraint/constraint.ts";

export type FormKind = "any" | "json" | "jsonSchema" | "regex" | "choice" | "grammar";

/** A form with its text field. A form for which the user types nothing has no field. */
export interface FormChoice {
  readonly kind: FormKind;
  readonly label: string;
  readonly field?: { readonly label: string; readonly example: string; readonly about: string };
}

export const formChoices: readonly FormChoice[] = [
  { kind: "any", label: "Any text" },
  { kind: "json", label: "JSON" },
  {
    kind: "jsonSchema",
    label: "JSON with a schema",
    field: {
      label: "JSON Schema",
      example: '{ "type": "object", "properties": { "name": { "type": "string", "maxLength": 20 } } }',
      about: "The text is JSON that the schema allows.",
    },
  },
  {
    kind: "regex",
    label: "Regular expression",
    field: {
      label: "Regular expression",
      example: "[A-Z][a-z]+( [a-z]+){1,9}\\.",
      about: "The whole text matches the expression.",
    },
  },
  {
    kind: "choice",
    label: "One of several texts",
    field: { label: "Texts, one per line", example: "yes\nno", about: "The text is one of these texts." },
  },
  {
    kind: "grammar",
    label: "Grammar",
    field: {
      label: "Grammar in EBNF",
      example: 'root ::= word (" " word)* "."\nword ::= [a-z]+',
      about: "The text matches the rule “root”.",
    },
  },
];

export const fieldOf = (kind: FormKind): FormChoice["field"] => formChoices.find((one) => one.kind === kind)?.field;

/** The server's error with the form's label in place of the request's field: `Regular expression: must have a ]…`. */
export const formFailure = (kind: FormKind, error: string): string => {
  const label = fieldOf(kind)?.label;
  if (label === undefined) return error;
  return error.replace(
    /^constraint(?:\.(?:schema|pattern|grammar|choices))?(?:\.([^:\s]+))?(?=:)/u,
    (_, path?: string) => (path === undefined ? label : `${label}, ${path}`),
  );
};

/**
 * Constraint for the server. If the text of the form is not valid, `wrong` contains the reason. If the text is empty,
 * `wrong` is undefined.
 */
export type ReadForm = { readonly constraint: Constraint | undefined } | { readonly wrong: string | undefined };

const readSchema = (text: string): ReadForm => {
  try {
    return { constraint: { kind: "jsonSchema", schema: JSON.parse(text) } };
  } catch (error) {
    return { wrong: `The schema must be JSON: ${error instanceof Error ? error.message : String(error)}.` };
  }
};

/** @param text content of the form's field. */
export const readForm = (kind: FormKind, text: string): ReadForm => {
  if (kind === "any") return { constraint: undefined };
  if (kind === "json") return { constraint: { kind } };
  if (text.trim() === "") return { wrong: undefined };
  switch (kind) {
    case "jsonSchema":
      return readSchema(text);
    case "regex":
      return { constraint: { kind, pattern: text } };
    case "choice":
      return { constraint: { kind, choices: text.split("\n").filter((line) => line !== "") } };
    case "grammar":
      return { constraint: { kind, grammar: text } };
    default:
      return kind satisfies never;
  }
};
