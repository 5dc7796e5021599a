import { z } from "zod";

/** The subset of JSON Schema that configuration schemas use. */
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
  /** Reference to another schema, for example "#/$defs/name". Recursive schemas contain references. */
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
}

/** A field that can be set, as a flag or in a form. */
export interface ConfigField {
  /** Path of the field, for example ["model", "norm", "eps"]. */
  readonly path: readonly string[];
  readonly type: "number" | "boolean" | "string" | "words";
  readonly description: string;
  /** The strings that are allowed, if they are listed. A field of type "words" is a list of some of these strings. */
  readonly choices?: readonly string[];
  /** Defaults of the field. If the field is in a union, there is one default for each kind that contains the field. */
  readonly defaults: readonly FieldDefault[];
}

/** Default of a field. */
export interface FieldDefault {
  /** Kind to which this default applies; undefined if the field is not in a union. */
  readonly kind: string | undefined;
  /** If undefined, the field has no default. */
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

/**
 * All fields of an object schema that can be set, in order. The fields of all kinds of a union are included. Flags and
 * their help are generated from these fields.
 */
export const configFields = (schema: z.ZodType): readonly ConfigField[] => {
  const fields = new Map<string, ConfigField>();
  const visit = (node: JsonSchema, path: readonly string[], outer: string, kind?: string): void => {
    const description = node.description ?? outer;
    for (const alternative of alternatives(node)) {
      const { items } = alternative;
      if (alternative.type === "array") {
        // Lists of values other than words are left out, because users cannot set them.
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

/** Returns the JSON schemas of the value at `path`. A path through a union has several schemas. */
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

/** Values that the discriminator of a union can have. The last element of `path` is the name of the discriminator. */
export const knownKinds = (schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] =>
  schemasAt(schema, path.slice(0, -1)).flatMap((node) => {
    const kind = node.properties?.[String(path.at(-1))]?.const;
    return kind === undefined ? [] : [String(kind)];
  });

/** Kinds of the union at `path` that allow all of `keys`. */
export const kindsWith = (
  schema: z.ZodType,
  path: readonly PropertyKey[],
  keys: readonly string[],
): readonly string[] =>
  schemasAt(schema, path).flatMap(({ properties = {} }) => {
    const kind = properties.kind?.const;
    return kind !== undefined && keys.every((key) => Object.hasOwn(properties, key)) ? [String(kind)] : [];
  });

/** Whether the nested object at `path` is optional. */
export const isOptional = (schema: z.ZodType, path: readonly PropertyKey[]): boolean =>
  path.length > 0 &&
  schemasAt(schema, path.slice(0, -1)).some(({ properties = {}, required = [] }) => {
    const key = String(path.at(-1));
    return Object.hasOwn(properties, key) && !required.includes(key);
  });

/** Default of the number at `path` in any kind of its union; undefined if no kind has a default. */
export const numberInUnion = (schema: z.ZodType, path: readonly PropertyKey[]): number | undefined =>
  schemasAt(schema, path)
    .map((node) => node.default)
    .find((value) => typeof value === "number");
