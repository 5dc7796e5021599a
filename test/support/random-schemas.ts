import { randomKey, randomStream } from "#foretoken/core/random.js";

/** A random schema from a seed. The schema has many different keywords, and its values have a limited size. */
export const randomSchema = (seed: number): Record<string, unknown> => {
  const random = randomStream(randomKey(seed, "init"));
  const below = (n: number): number => Math.floor(random.uniform() * n);
  const pick = <T>(options: readonly [T, ...T[]]): T => options[below(options.length)] ?? options[0];
  const maybe = (chance: number, fields: () => Record<string, unknown>): Record<string, unknown> =>
    random.uniform() < chance ? fields() : {};
  const scalar = (): unknown => pick<unknown>([null, true, false, 0, -3, 2.5, "", "a", 'q"\\', "é😀\n"]);
  const text = (): Record<string, unknown> => ({
    type: "string",
    ...pick<Record<string, unknown>>([
      { minLength: below(3), maxLength: 2 + below(6) },
      { pattern: pick(["^[a-c]{1,4}$", "^(x|yz){2}\\d?$", "^.?é$", "^[^a-z]{0,3}$"]), maxLength: 8 },
      { format: pick(["date", "time", "ipv4", "uuid"]) },
      { maxLength: 5, not: { pattern: "^a" } },
    ]),
  });
  const number = (): Record<string, unknown> => {
    const low = below(40) - 20;
    return pick<Record<string, unknown>>([
      { type: "integer", minimum: low, maximum: low + below(100) },
      { type: "number", exclusiveMinimum: low, exclusiveMaximum: low + 0.5 + below(5) },
      { type: "integer", multipleOf: 1 + below(9), minimum: low, maximum: low + 50 },
      { type: "number", minimum: low + 0.25, maximum: low + 7.125, not: { type: "integer" } },
    ]);
  };
  const list = (depth: number): Record<string, unknown> => {
    const fewest = below(2);
    return {
      type: "array",
      minItems: fewest,
      maxItems: fewest + below(3),
      ...pick<() => Record<string, unknown>>([
        () => ({ items: schema(depth - 1) }),
        () => ({ prefixItems: [schema(depth - 1), schema(depth - 1)], items: schema(0) }),
        () => ({
          items: { type: ["integer", "boolean"], minimum: 0, maximum: 9 },
          contains: { const: true },
          maxItems: 4,
        }),
        () => ({ items: { enum: ["a", 1, null, true, "b"] }, uniqueItems: true, maxItems: 4 }),
      ])(),
    };
  };
  const object = (depth: number): Record<string, unknown> => {
    const names = ["a", "ab", "b", 'q"'].slice(0, 1 + below(4));
    return {
      type: "object",
      properties: Object.fromEntries(names.map((name) => [name, schema(depth - 1)])),
      ...maybe(0.5, () => ({ required: names.slice(below(names.length)) })),
      ...pick<Record<string, unknown>>([
        { additionalProperties: false },
        { additionalProperties: { type: "boolean" }, maxProperties: 4, propertyNames: { maxLength: 4 } },
        {
          patternProperties: { "^x": { type: "integer", minimum: 0, maximum: 9 } },
          additionalProperties: false,
          maxProperties: 4,
          propertyNames: { maxLength: 3 },
        },
      ]),
      ...maybe(0.3, () => ({ dependentRequired: { a: ["b"] } })),
    };
  };
  const schema = (depth: number): Record<string, unknown> => {
    const kind = below(depth <= 0 ? 4 : 9);
    if (kind === 0) return { enum: Array.from({ length: 1 + below(4) }, scalar) };
    if (kind === 1) return text();
    if (kind === 2) return number();
    if (kind === 3) return { type: pick<unknown>(["boolean", "null", ["boolean", "null"]]) };
    if (kind === 4) return list(depth);
    if (kind === 5) return { anyOf: [schema(depth - 1), schema(depth - 1)] };
    if (kind === 6) {
      return { oneOf: [{ ...number(), maximum: 90 }, text(), { type: "integer", minimum: 0, maximum: 9 }] };
    }
    return object(depth);
  };
  return object(2);
};
