/** JSON schema of a sweep's file, for completion and checks in editors. */
import { z } from "zod";
import { runConfigSchema } from "../config/config.ts";
import type { ConfigField } from "../core/checks/schema-fields.ts";
import { rangeSchema, sweepSchema, variedFields } from "./sweep-config.ts";

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Makes every field of a schema optional. */
const partial = (node: unknown): unknown => {
  if (Array.isArray(node)) return node.map(partial);
  if (!isObject(node)) return node;
  const { required: _, ...rest } = node;
  return Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, partial(value)]));
};

const itemOf = ({ type, choices }: ConfigField): Json =>
  choices !== undefined && type === "string" ? { enum: choices } : { type: type === "words" ? "string" : type };

const variedSchema = (field: ConfigField): Json => {
  const list = { type: "array", minItems: 1, items: itemOf(field) };
  const { description } = field;
  return field.type === "number" ? { description, anyOf: [list, { $ref: "#/$defs/range" }] } : { description, ...list };
};

/** The published schema. The schema has the same rules as the check of a sweep's file. */
export const sweepJsonSchema = (): Json => {
  const own = z.toJSONSchema(sweepSchema, { io: "input" }) as Json;
  const config = partial(z.toJSONSchema(runConfigSchema, { io: "input" })) as { readonly properties: Json };
  const { tokenizer, model, train } = config.properties;
  const refs = Object.fromEntries(["tokenizer", "model", "train"].map((part) => [part, { $ref: `#/$defs/${part}` }]));
  const properties = own.properties as Readonly<Record<string, Json>>;
  const { $schema: _, ...range } = z.toJSONSchema(rangeSchema, { io: "input" }) as Json;
  const settings = properties.settings as Json & { readonly items: { readonly properties: Json } };
  return {
    ...own,
    title: "A sweep of foretoken",
    properties: {
      ...properties,
      ...refs,
      vary: {
        ...{ type: "object", description: properties.vary?.description, additionalProperties: false },
        properties: Object.fromEntries(variedFields.map((field) => [field.path.join("."), variedSchema(field)])),
      },
      settings: { ...settings, items: { ...settings.items, properties: { ...settings.items.properties, ...refs } } },
    },
    $defs: { tokenizer, model, train, range },
  };
};
