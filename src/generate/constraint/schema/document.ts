import { isRecord } from "../../../core/checks/is-record.ts";
import { ConfigError } from "../../../core/errors/errors.ts";

export type Schema = Readonly<Record<string, unknown>>;

/** Keywords that limit values. */
const known = new Set(
  `$ref type enum const nullable allOf anyOf oneOf not if then else
  minimum maximum exclusiveMinimum exclusiveMaximum multipleOf
  minLength maxLength pattern format
  items prefixItems additionalItems minItems maxItems uniqueItems contains minContains maxContains
  properties patternProperties additionalProperties required minProperties maxProperties propertyNames
  dependencies dependentRequired dependentSchemas`.split(/\s+/u),
);

/** Keywords that describe values without limiting them. These keywords come from the standard and from common use. */
const annotations = new Set(
  `$schema $id id $comment comment title description default examples example deprecated readOnly writeOnly readonly
  definitions $defs $anchor $vocabulary contentEncoding contentMediaType
  markdownDescription enumDescriptions markdownEnumDescriptions defaultSnippets enumNames errorMessage
  deprecationMessage doNotSuggest tsType javaType javaName javaInterfaces extendsJavaClass javaEnumNames
  propertyOrder preferredOrder links self name version author copyright category visible hidden alias aliases`.split(
    /\s+/u,
  ),
);

const isAnnotation = (keyword: string): boolean => annotations.has(keyword) || /^(x-|_|\$\$)/u.test(keyword);

/** The error for a keyword that is not supported or would have no effect. */
export const refused = (path: string, keyword: string, must: string, got?: string): ConfigError =>
  new ConfigError({ where: `schema: ${path}/${keyword}`, must, ...(got === undefined ? {} : { got }) });

/** A JSON Schema with its references. */
export interface Document {
  /**
   * Checks the keywords of a schema and returns the schema.
   * @throws ConfigError for an unknown keyword, because the program would ignore it.
   */
  check(schema: unknown, path: string): Schema | boolean;
  /** The schema that a reference names. @throws ConfigError if the document has no such schema. */
  resolve(ref: unknown, path: string): { readonly schema: unknown; readonly path: string };
}

const unescaped = (part: string): string => {
  try {
    return decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
  } catch {
    return part;
  }
};

/** All schemas with a name, given by `$id`, `id` or `$anchor`. */
const namesIn = (root: unknown): Map<string, { schema: unknown; path: string }> => {
  const names = new Map<string, { schema: unknown; path: string }>();
  const visit = (value: unknown, path: string, depth: number): void => {
    if (depth > 200) return;
    if (Array.isArray(value)) for (const [i, part] of value.entries()) visit(part, `${path}/${i}`, depth + 1);
    if (!isRecord(value)) return;
    for (const key of ["$id", "id", "$anchor"]) {
      const name = value[key];
      if (typeof name !== "string") continue;
      const full = key === "$anchor" ? `#${name}` : name.replace(/#$/u, "");
      if (!names.has(full)) names.set(full, { schema: value, path });
    }
    for (const [key, part] of Object.entries(value)) {
      if (key !== "enum" && key !== "const" && key !== "default" && key !== "examples")
        visit(part, `${path}/${key}`, depth + 1);
    }
  };
  visit(root, "#", 0);
  return names;
};

export const schemaDocument = (root: unknown): Document => {
  let names: Map<string, { schema: unknown; path: string }> | undefined;
  const checked = new Set<unknown>();
  /** Whether a schema on the way to `path` has its own `$id`. References are then relative to this `$id`. */
  const isInside = (path: string): boolean => {
    let value: unknown = root;
    for (const part of path.split("/").slice(1)) {
      value = isRecord(value) ? value[unescaped(part)] : Array.isArray(value) ? value[Number(part)] : undefined;
      if (isRecord(value) && typeof value.$id === "string" && !value.$id.startsWith("#")) return true;
    }
    return false;
  };
  return {
    check: (schema, path) => {
      if (typeof schema === "boolean") return schema;
      if (!isRecord(schema)) {
        throw new ConfigError({
          where: `schema: ${path}`,
          must: "must be a JSON Schema: an object, true or false",
          got: Array.isArray(schema) ? "a list" : schema === null ? "null" : typeof schema,
        });
      }
      if (checked.has(schema)) return schema;
      for (const keyword of Object.keys(schema)) {
        if (known.has(keyword) || isAnnotation(keyword)) continue;
        throw refused(
          path,
          keyword,
          "must be a keyword that limits the output or a known annotation",
          "an unknown keyword",
        );
      }
      for (const keyword of ["then", "else"]) {
        if (keyword in schema && !("if" in schema)) throw refused(path, keyword, 'must come with an "if"');
      }
      checked.add(schema);
      return schema;
    },
    resolve: (ref, path) => {
      if (typeof ref !== "string") throw refused(path, "$ref", "must be a text");
      if (ref === "#") return { schema: root, path: "#" };
      if (ref.startsWith("#/")) {
        if (isInside(path)) throw refused(path, "$ref", 'must not be inside a schema with its own "$id"', ref);
        let value: unknown = root;
        for (const part of ref.slice(2).split("/").map(unescaped)) {
          value =
            isRecord(value) && Object.hasOwn(value, part)
              ? value[part]
              : Array.isArray(value)
                ? value[Number(part)]
                : undefined;
        }
        if (value === undefined) throw refused(path, "$ref", "must name a part of the schema", ref);
        return { schema: value, path: ref };
      }
      names ??= namesIn(root);
      const found = names.get(ref.replace(/#$/u, ""));
      if (found === undefined) throw refused(path, "$ref", "must name a part of the same schema", ref);
      return found;
    },
  };
};
