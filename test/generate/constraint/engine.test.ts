import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import type { Constraint } from "#foretoken/generate/constraint/constraint.js";
import type { EngineGenerateOptions } from "#foretoken/generate/engine-options.js";
import { generate } from "#foretoken/generate/generate.js";
import { generateMany } from "#foretoken/generate/generate-many.js";
import { openEngine } from "#foretoken/generate/open-engine.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { accepts, jsonTokenizer } from "../../support/constrained.ts";
import { bookModel, hashedModel } from "../../support/models.ts";

const tokenizer = jsonTokenizer();
let backend: Backend;
let lm: LanguageModel;
beforeAll(async () => {
  backend = await openReference();
  const config = { ...bookModel, contextLength: 64, nEmbd: 8, nHead: 2, nLayer: 1 };
  lm = languageModel(hashedModel(backend, config, tokenizer.vocabSize), tokenizer);
});
afterAll(() => backend.close());

const schema: Constraint = {
  kind: "jsonSchema",
  schema: {
    type: "object",
    properties: {
      id: { type: "integer", minimum: -9, maximum: 99 },
      tags: { type: "array", items: { enum: ["a", "b"] }, maxItems: 2 },
    },
    required: ["id"],
    additionalProperties: false,
  },
};
const constraints: readonly (Constraint | undefined)[] = [
  undefined,
  schema,
  { kind: "regex", pattern: "[ab]{2,6}" },
  { kind: "choice", choices: ["yes", "no", "nobody"] },
  { kind: "grammar", grammar: 'root ::= "(" root{0,2} ")" | "x"' },
];
const all = { maxNewTokens: 60, temperature: 1.5, topK: 0 };

const textOf = async (options: EngineGenerateOptions, model = lm): Promise<{ text: string; finishReason: string }> => {
  for await (const event of generate(model, options)) {
    if (event.type === "done") return { text: event.text, finishReason: event.finishReason };
  }
  throw new Error("no end");
};

describe("constrained texts", () => {
  it.each([
    [{ kind: "regex", pattern: "" }, {}],
    [{ kind: "grammar", grammar: 'root ::= ""' }, {}],
    [{ kind: "regex", pattern: "a*" }, { badWords: ["a"] }],
  ] as const)(
    "end without a token where nothing is left to write, also without an end token: %j",
    async (constraint, wish) => {
      const letters = charTokenizer([..."ab"]);
      const config = { ...bookModel, contextLength: 8, nEmbd: 8, nHead: 2, nLayer: 1 };
      const model = languageModel(hashedModel(backend, config, letters.vocabSize), letters);
      const { text, finishReason } = await textOf({ prompt: "b", constraint, ...wish, maxNewTokens: 5 }, model);
      expect([text, finishReason]).toEqual(["", "endOfText"]);
    },
  );

  it("keep to their constraints, whatever else is asked for", async () => {
    const end = tokenizer.endOfText ?? -1;
    const wishes: readonly EngineGenerateOptions[] = [
      { temperature: 0 },
      { topK: 1 },
      { badWords: ["{", '"', "y", "n", "(", "a", "b"] },
      { logitBias: Object.fromEntries(Array.from({ length: 256 }, (_, id) => [id, -100])) },
      { logitBias: { [end]: 100 } },
      { adjustLogits: (logits) => logits.fill(Number.NEGATIVE_INFINITY) },
      { adjustLogits: (logits) => logits.fill(Number.NaN) },
      { adjustLogits: (logits) => logits.fill(Number.POSITIVE_INFINITY) },
      { repetitionPenalty: 5, presencePenalty: 2 },
      { cache: false } as EngineGenerateOptions,
    ];
    for (const [i, wish] of wishes.entries()) {
      for (const constraint of constraints) {
        if (constraint === undefined) continue;
        const { text, finishReason } = await textOf({ ...all, seed: i, ...wish, constraint });
        if (finishReason === "endOfText") expect([i, text, accepts(constraint, text)]).toEqual([i, text, true]);
        else expect(finishReason).toBe("length");
      }
    }
  });

  it("have the bits that they have alone, in a batch of 16 with others that come and go", async () => {
    const asked = Array.from({ length: 40 }, (_, i) => {
      const constraint = constraints[i % constraints.length];
      return {
        ...all,
        maxNewTokens: 5 + ((i * 7) % 50),
        prompt: ["the ", "{", "no"][i % 3] ?? "",
        seed: i,
        constraint,
      };
    });
    const alone: string[] = [];
    for (const options of asked) alone.push((await textOf(options)).text);
    const together: string[] = [];
    for await (const { text } of generateMany(lm, asked, { maxSequences: 16 })) together.push(text);
    expect(together).toEqual(alone);
  });

  it("end by themselves with a model that has no end token", async () => {
    const characters = charTokenizer([..."abcnosye \n"]);
    const config = { ...bookModel, contextLength: 16, nEmbd: 8, nHead: 2, nLayer: 1 };
    const plain = languageModel(hashedModel(backend, config, characters.vocabSize), characters);
    const constraint: Constraint = { kind: "choice", choices: ["yes", "no"] };
    const { text, finishReason } = await textOf({ ...all, constraint, prompt: "a" }, plain);
    expect([["yes", "no"].includes(text), finishReason]).toEqual([true, "endOfText"]);
    const whole = { constraint, prompt: characters.encode("ano"), constrainedPrompt: 2 };
    await expect(textOf({ ...all, ...whole }, plain)).rejects.toThrow("must be shorter than a complete text");
  });

  it("go on from their beginning in the prompt", async () => {
    const constraint: Constraint = { kind: "choice", choices: ["nobody", "none"] };
    const prompt = [...tokenizer.encode("the "), ...tokenizer.encode("nob")];
    const constrainedPrompt = tokenizer.encode("nob").length;
    expect(await textOf({ ...all, constraint, prompt, constrainedPrompt })).toEqual({
      text: "ody",
      finishReason: "endOfText",
    });
    const refusal = (options: EngineGenerateOptions) => expect(textOf({ ...all, prompt, ...options })).rejects;
    await refusal({ constraint, constrainedPrompt: constrainedPrompt + 1 }).toThrow(
      /^generate: constrainedPrompt: must be the beginning of a text that the constraint allows; got " ", which may not follow here/u,
    );
    await refusal({ constraint, constrainedPrompt: 100 }).toThrow(/must be at most the number of prompt tokens/u);
    await refusal({ constrainedPrompt: 1 }).toThrow(/and 0 without a constraint; got 1/u);
    await refusal({ constraint, constrainedPrompt: -1 }).toThrow(/generate\.constrainedPrompt/u);
  });

  it("end at the most tokens that are asked for, and before stop strings", async () => {
    const constraint: Constraint = { kind: "regex", pattern: "(ab){20}" };
    expect(await textOf({ ...all, constraint, maxNewTokens: 3 })).toEqual({ text: "aba", finishReason: "length" });
    expect(await textOf({ ...all, constraint, stop: ["ba"] })).toEqual({ text: "a", finishReason: "stop" });
  });

  it("are refused before anything is computed where their constraint is wrong", async () => {
    await expect(textOf({ constraint: { kind: "regex", pattern: "(" } })).rejects.toThrow(
      /^constraint\.pattern: must have a \) for the \( at character 1; got no \)/u,
    );
    await expect(textOf({ constraint: { kind: "json", schema: {} } as unknown as Constraint })).rejects.toThrow(
      /constraint/u,
    );
    await expect(textOf({ constraint: "json" as unknown as Constraint })).rejects.toThrow(
      /generate.constraint: must be an object/u,
    );
    const engine = await openEngine(lm);
    const events = engine.generate({ constraint: { kind: "choice", choices: [] } });
    await expect(events.next()).rejects.toThrow(/choices/u);
    await engine.close();
  });
});
