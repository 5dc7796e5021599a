import { z } from "zod";

/** The part of JSON Schema that config schemas use. */
interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly items?: JsonSchema;
  readonly const?: unknown;
  readonly default?: unknown;
  /** Of a schema that has itself inside: the place of another one, as "#/$defs/name". */
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
}

/** One value that can be set, as a flag or in a form. */
export interface ConfigField {
  /** As ["model", "norm", "eps"]. */
  readonly path: readonly string[];
  readonly type: "number" | "boolean" | "string" | "words";
  readonly description: string;
  /** The allowed strings, if they are listed; of "words", a list of some of them. */
  readonly choices?: readonly string[];
  /** The value of a field that is left out, for each kind of the union that the field is in, as far as there is one. */
  readonly defaults: readonly FieldDefault[];
}

/** Default of a field. */
export interface FieldDefault {
  /** The kind that has it; undefined for a field that is in no union. */
  readonly kind: string | undefined;
  /** undefined: the kind has the field without a default. */
  readonly value: string | number | boolean | undefined;
}

const jsonSchema = (schema: z.ZodType): JsonSchema => z.toJSONSchema(schema) as JsonSchema;

const alternatives = (node: JsonSchema): readonly JsonSchema[] => node.oneOf ?? node.anyOf ?? [node];

const mergeFields = (a: ConfigField, b: ConfigField): ConfigField => ({
  ...a,
  defaults: [...a.defaults, ...b.defaults],
  ...(a.choices === undefined || b.choices === undefined
    ? {}
    : { choices: [...new Set([...a.choices, ...b.choices])] }),
});

const isScalar = (value: unknown): value is string | number | boolean =>
  ["string", "number", "boolean"].includes(typeof value);

/** Every settable value of an object schema, unions flattened, in order: the flags and their help are made of these. */
export const configFields = (schema: z.ZodType): readonly ConfigField[] => {
  const fields = new Map<string, ConfigField>();
  const visit = (node: JsonSchema, path: readonly string[], outer: string, kind?: string): void => {
    const description = node.description ?? outer;
    for (const alternative of alternatives(node)) {
      const { items } = alternative;
      if (alternative.type === "array") {
        // Another list is set by the program alone.
        if (items?.enum === undefined) continue;
        const choices = items.enum.map(String);
        fields.set(path.join("."), {
          path,
          type: "words",
          description,
          choices,
          defaults: [{ kind, value: undefined }],
        });
        continue;
      }
      if (alternative.properties !== undefined) {
        for (const [key, child] of Object.entries(alternative.properties)) {
          const own = alternative.properties.kind?.const;
          visit(child, [...path, key], description, own === undefined ? undefined : String(own));
        }
        continue;
      }
      const listed = alternative.const === undefined ? alternative.enum : [alternative.const];
      const field: ConfigField = {
        path,
        type: alternative.type === "boolean" ? "boolean" : alternative.type === "string" ? "string" : "number",
        description,
        defaults: [{ kind, value: isScalar(node.default) ? node.default : undefined }],
        ...(listed === undefined ? {} : { choices: listed.map(String) }),
      };
      const key = path.join(".");
      const earlier = fields.get(key);
      fields.set(key, earlier === undefined ? field : mergeFields(earlier, field));
    }
  };
  visit(jsonSchema(schema), [], "");
  return [...fields.values()];
};

/** The JSON schemas of the value at `path`: several if a union is on the way. */
const schemasAt = (schema: z.ZodType, path: readonly PropertyKey[]): readonly JsonSchema[] => {
  const root = jsonSchema(schema);
  const named = (node: JsonSchema): readonly JsonSchema[] => {
    const { $ref } = node;
    const found = $ref === undefined ? node : $ref === "#" ? root : root.$defs?.[$ref.slice("#/$defs/".length)];
    return found === undefined ? [] : alternatives(found);
  };
  const inside = ({ properties, items }: JsonSchema, key: PropertyKey): readonly JsonSchema[] => {
    const found = typeof key === "number" ? items : properties?.[String(key)];
    return found === undefined ? [] : [found];
  };
  return path.reduce<readonly JsonSchema[]>(
    (nodes, key) => nodes.flatMap((node) => inside(node, key)).flatMap(named),
    named(root),
  );
};

/** Keys that an object at `path` may have. */
export const knownKeys = (schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] => [
  ...new Set(schemasAt(schema, path).flatMap((node) => Object.keys(node.properties ?? {}))),
];

/** Values of the discriminator at `path` (its last part names it). */
export const knownKinds = (schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] =>
  schemasAt(schema, path.slice(0, -1)).flatMap((node) => {
    const kind = node.properties?.[String(path.at(-1))]?.const;
    return kind === undefined ? [] : [String(kind)];
  });

/** Kinds of the union at `path` whose objects may have all of `keys`. */
export const kindsWith = (
  schema: z.ZodType,
  path: readonly PropertyKey[],
  keys: readonly string[],
): readonly string[] =>
  schemasAt(schema, path).flatMap(({ properties = {} }) => {
    const kind = properties.kind?.const;
    return kind !== undefined && keys.every((key) => Object.hasOwn(properties, key)) ? [String(kind)] : [];
  });

/** Whether the object at `path`, inside another, may be left out. */
export const isOptional = (schema: z.ZodType, path: readonly PropertyKey[]): boolean =>
  path.length > 0 &&
  schemasAt(schema, path.slice(0, -1)).some(({ properties = {}, required = [] }) => {
    const key = String(path.at(-1));
    return Object.hasOwn(properties, key) && !required.includes(key);
  });

/** Default of the number at `path` in any kind of the union that it is in; undefined if there is none. */
export const numberInUnion = (schema: z.ZodType, path: readonly PropertyKey[]): number | undefined =>
  schemasAt(schema, path)
    .map((node) => node.default)
    .find((value) => typeof value === "number");
