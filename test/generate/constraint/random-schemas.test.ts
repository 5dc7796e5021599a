import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect, test } from "vitest";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { jsonTokenizer, randomText } from "../../support/constrained.ts";
import { randomSchema } from "../../support/random-schemas.ts";

const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv);
const tokenizer = jsonTokenizer();

test("texts of evenly drawn tokens are values of their schemas", () => {
  let texts = 0;
  for (let seed = 0; seed < 30; seed++) {
    const schema = randomSchema(seed);
    const validate = ajv.compile(schema);
    for (let i = 0; i < 5; i++) {
      let text: string | null;
      try {
        text = randomText({ kind: "jsonSchema", schema }, seed * 100 + i, tokenizer);
      } catch (error) {
        // No value is valid for this schema, which can happen with random schemas. Or the schema contains a keyword
        // that cannot be negated.
        if (error instanceof ConfigError && /must allow a value|inside not, oneOf or if/u.test(error.message)) break;
        throw error;
      }
      expect(text, JSON.stringify(schema)).not.toBeNull();
      expect([schema, text, validate(JSON.parse(text ?? ""))]).toEqual([schema, text, true]);
      texts++;
    }
  }
  expect(texts).toBeGreaterThan(100);
});
