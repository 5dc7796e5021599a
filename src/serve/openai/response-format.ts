/** The format that a request demands for its texts. The format becomes a constraint of the engine. */
import { z } from "zod";
import { ForetokenError } from "../../core/errors/errors.ts";
import { compileConstraint } from "../../generate/constraint/compile.ts";
import type { Constraint } from "../../generate/constraint/constraint.ts";
import { asField } from "../../generate/constraint/fields.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { invalid } from "./api-error.ts";
import { honoured, type Values } from "./fields.ts";

const schema = z.union([z.record(z.string(), z.unknown()), z.boolean()], { error: "must be a JSON Schema" });
const name = z
  .string({ error: "must be a string" })
  .regex(/^[\w-]{1,64}$/u, "must be 1 to 64 letters, digits, _ and -");
const described = {
  name,
  description: z.string().nullish(),
  schema: schema.nullish(),
  strict: z.boolean({ error: "must be true or false" }).nullish(),
};
const error = 'must be {"type": "text"}, {"type": "json_object"} or {"type": "json_schema", …}';
const text = z.strictObject({ type: z.literal("text") });
const jsonObject = z.strictObject({ type: z.literal("json_object") });

/** `response_format` of chat completions. */
export const chatFormat = z.discriminatedUnion(
  "type",
  [text, jsonObject, z.strictObject({ type: z.literal("json_schema"), json_schema: z.strictObject(described) })],
  { error },
);

/** `text.format` of responses. */
export const responseFormat = z.discriminatedUnion(
  "type",
  [text, jsonObject, z.strictObject({ type: z.literal("json_schema"), ...described })],
  { error },
);

/** Fields for the format of a text that other servers also have. */
export const guidedFields = {
  guided_json: honoured(schema, "not in OpenAI's API: a JSON Schema that the text must meet"),
  guided_regex: honoured(
    z.string({ error: "must be a string" }),
    "not in OpenAI's API: a regular expression that must match the whole text",
  ),
  guided_choice: honoured(
    z
      .array(z.string({ error: "must be a string" }).min(1, "must not be empty"))
      .min(1)
      .max(10_000),
    "not in OpenAI's API: the text must be one of these strings",
  ),
  guided_grammar: honoured(
    z.string({ error: "must be a string" }).min(1, "must not be empty"),
    "not in OpenAI's API: a grammar in EBNF; its rule `root` describes the text",
  ),
} as const;

type Format = z.output<typeof chatFormat> | z.output<typeof responseFormat>;

const object: Constraint = { kind: "jsonSchema", schema: { type: "object" } };

const ofFormat = (format: Format): Constraint | undefined => {
  if (format.type === "text") return undefined;
  if (format.type === "json_object") return object;
  const own = "json_schema" in format ? format.json_schema : format;
  // `strict` is ignored, because texts always follow every schema exactly.
  return own.schema == null ? object : { kind: "jsonSchema", schema: own.schema };
};

/** The field that contains the schema. */
const schemaField = (format: Format, param: string): string => {
  if ("json_schema" in format) return `${param}.json_schema.schema`;
  return format.type === "json_schema" ? `${param}.schema` : param;
};

/**
 * The constraint of a request's texts. The constraint is compiled here, so that errors appear before the model writes
 * anything.
 * @param param the field that contains `format`.
 * @throws ApiError for an unsupported keyword, and for two formats in one request.
 */
export const constraintOf = (
  tokenizer: Tokenizer,
  format: Format | undefined,
  param: string,
  guided: Values<typeof guidedFields> = {},
): Constraint | undefined => {
  const { guided_json: json, guided_regex: pattern, guided_choice: choices, guided_grammar: grammar } = guided;
  const given: (readonly [string, Constraint | undefined])[] = [
    [param, format === undefined ? undefined : ofFormat(format)],
    ["guided_json", json === undefined ? undefined : { kind: "jsonSchema", schema: json }],
    ["guided_regex", pattern === undefined ? undefined : { kind: "regex", pattern }],
    ["guided_choice", choices === undefined ? undefined : { kind: "choice", choices }],
    ["guided_grammar", grammar === undefined ? undefined : { kind: "grammar", grammar }],
  ];
  const [first, second] = given.filter(([, constraint]) => constraint !== undefined);
  if (first === undefined) return undefined;
  const [name, constraint] = first;
  if (second !== undefined)
    throw invalid(`${name}: must be the only field that constrains the text; got ${second[0]} too`, name);
  if (constraint === undefined) return undefined;
  const field = name === param && format !== undefined ? schemaField(format, param) : name;
  try {
    asField(field, () => compileConstraint(constraint, tokenizer));
  } catch (failure) {
    if (failure instanceof ForetokenError) throw invalid(failure.message, field, "unsupported_value");
    throw failure;
  }
  return constraint;
};
