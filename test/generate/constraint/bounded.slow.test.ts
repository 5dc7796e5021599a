/**
 * Generates many texts with an untrained model. Each text must be a valid value of its schema. For all combinations of
 * constraints and settings, the constraint must be in effect.
 */
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openBackend } from "#foretoken/backend/open.node.js";
import { randomKey, randomStream } from "#foretoken/core/random.js";
import { compileConstraint } from "#foretoken/generate/constraint/compile.js";
import type { Constraint } from "#foretoken/generate/constraint/constraint.js";
import type { EngineGenerateOptions } from "#foretoken/generate/engine-options.js";
import { generateMany } from "#foretoken/generate/generate-many.js";
import { freshModel } from "#foretoken/models/model.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { trainBpeTokenizer } from "#foretoken/tokenizer/bpe/learn/train.js";
import { accepts } from "../../support/constrained.ts";
import { bookModel } from "../../support/models.ts";
import { randomSchema } from "../../support/random-schemas.ts";

// With FORETOKEN_FULL_COUNTS=1, the test takes 90 seconds of CPU time.
const isFull = process.env.FORETOKEN_FULL_COUNTS === "1";
const schemas = 50;
const textsOfEach = isFull ? 1000 : 50;
const mixes = isFull ? 10_000 : 1000;

const tokenizer = trainBpeTokenizer(
  { vocabSize: 400, specialTokens: ["<|endoftext|>"] },
  '{"a": [1, 2.5, "x"], "ab": {"b": true, "q": null}}, the cat sat on the mat. '.repeat(50),
);
const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv);
let backend: Backend;
let lm: LanguageModel;
beforeAll(async () => {
  backend = await openBackend("auto");
  const config = { ...bookModel, contextLength: 512, nEmbd: 8, nHead: 1, nLayer: 1 };
  lm = languageModel(freshModel(backend, config, tokenizer.vocabSize, 1), tokenizer);
});
afterAll(() => backend.close());

/** Schemas for which at least one value is valid. */
const boundedSchemas = (): readonly Record<string, unknown>[] => {
  const found: Record<string, unknown>[] = [];
  for (let seed = 1000; found.length < schemas; seed++) {
    const schema = randomSchema(seed);
    try {
      compileConstraint({ kind: "jsonSchema", schema }, tokenizer);
      found.push(schema);
    } catch {
      // No value is valid for this schema, or the schema contains a keyword that cannot be negated.
    }
  }
  return found;
};

test("texts of 50 bounded schemas are values of them", { timeout: 600_000 }, async () => {
  for (const schema of boundedSchemas()) {
    const validate = ajv.compile(schema);
    const settings = {
      maxNewTokens: 500,
      temperature: 1,
      topK: 0,
      constraint: { kind: "jsonSchema" as const, schema },
    };
    const prompts = Array.from({ length: textsOfEach }, (_, seed) => ({ prompt: "the", seed }));
    let count = 0;
    for await (const { text, finishReason } of generateMany(lm, prompts, { ...settings, maxSequences: 64 })) {
      if (finishReason !== "endOfText" || !validate(JSON.parse(text))) expect([schema, text, finishReason]).toEqual([]);
      count++;
    }
    expect(count).toBe(textsOfEach);
  }
});

test("random mixes of constraints and settings drop no constraint", { timeout: 600_000 }, async () => {
  const random = randomStream(randomKey(5, "sampling"));
  const below = (n: number): number => Math.floor(random.uniform() * n);
  const known = boundedSchemas().slice(0, 12);
  const constraints: readonly (Constraint | undefined)[] = [
    undefined,
    ...known.map((schema) => ({ kind: "jsonSchema" as const, schema })),
    { kind: "json" },
    { kind: "regex", pattern: "[ab]{2,9}(é|\\d+x)?" },
    { kind: "choice", choices: ["yes", "no", "nobody"] },
    { kind: "grammar", grammar: 'root ::= "(" root{0,2} ")" | [xy]+' },
  ];
  const used: (Constraint | undefined)[] = [];
  const mix = (): EngineGenerateOptions => {
    const constraint = constraints[below(constraints.length)];
    used.push(constraint);
    return {
      ...{ constraint, prompt: ["the", "{", "a b"][below(3)] ?? "", seed: below(1e9), maxNewTokens: 1 + below(80) },
      ...{ temperature: [0, 0.7, 1.5][below(3)] ?? 0, topK: [0, 1, 5][below(3)] ?? 0, topP: [1, 0.5][below(2)] ?? 1 },
      ...(below(3) === 0 ? { badWords: ["a", '"', "{"] } : {}),
      ...(below(3) === 0 ? { logitBias: { [below(400)]: 100, [below(400)]: -100 } } : {}),
      ...(below(4) === 0 ? { repetitionPenalty: 1.5 } : {}),
      ...(below(5) === 0 ? { minP: 0.2, typicalP: 0.8 } : {}),
    };
  };
  let whole = 0;
  const prompts = Array.from({ length: mixes }, mix);
  for await (const { index, text, ids, finishReason } of generateMany(lm, prompts, { maxSequences: 16 })) {
    const constraint = used[index];
    if (constraint === undefined) continue;
    const matcher = compileConstraint(constraint, tokenizer).matcher(lm.endTokens);
    if (!ids.every((id) => matcher.accept(id))) expect([constraint, text]).toEqual([]);
    if (finishReason !== "endOfText") continue;
    whole++;
    if (!accepts(constraint, text)) expect([constraint, text]).toEqual([]);
  }
  expect(whole).toBeGreaterThan(mixes / 4);
});
