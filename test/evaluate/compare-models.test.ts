import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { ConfigError, DataError } from "#foretoken/core/errors/errors.js";
import { compareModels } from "#foretoken/evaluate/compare-models.js";
import {
  type LanguageModel,
  type LanguageModelFacts,
  languageModel,
} from "#foretoken/pretrained/model/language-model.js";
import { bpeTokenizer } from "#foretoken/tokenizer/bpe/bpe.js";
import { trainBpeTokenizer } from "#foretoken/tokenizer/bpe/learn/train.js";
import type { BpeParts } from "#foretoken/tokenizer/bpe/parts.js";
import { bpePartsOf } from "#foretoken/tokenizer/bpe/read-json.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { noTokenizer } from "#foretoken/tokenizer/none.js";
import type { Tokenizer } from "#foretoken/tokenizer/tokenizer.js";
import { bookModel, hashedModel } from "../support/models.ts";

const characters = "abcdefgh ";
const tokenizer = trainCharTokenizer(characters);
const config = { ...bookModel, contextLength: 16, nLayer: 1, nHead: 2, nEmbd: 16 };

let backend: Backend;
let one: LanguageModel;
let same: LanguageModel;
let other: LanguageModel;
/** At all positions, a fixed number is added to the logit of one token. */
const raised = async (lm: LanguageModel, id: number, by: number): Promise<LanguageModel> => ({
  ...lm,
  model: lm.model,
  logits: async (ids) => {
    const { data, shape } = await lm.logits(ids);
    for (let row = 0; row < shape[0]; row++) data[row * shape[1] + id] = (data[row * shape[1] + id] as number) + by;
    return { data, shape };
  },
});
beforeAll(async () => {
  backend = await openReference();
  const make = () => languageModel(hashedModel(backend, config, tokenizer.vocabSize), tokenizer);
  [one, same] = [make(), make()];
  other = await raised(same, 3, 0.5);
});
afterAll(async () => {
  await one.close();
  await same.close();
  await backend.close();
});

describe("compareModels", () => {
  it("finds no difference between a model and its copy", async () => {
    expect(await compareModels(one, same, { prompts: ["abc", [1, 2, 3]], maxNewTokens: 8 })).toEqual({
      ...{ largestLogit: 0, prompts: 2, sameIds: 2, sameTokens: 2, differences: [], textDifference: null },
    });
  });

  it("tells the largest difference of a logit, and the first token of each prompt that differs, with its margins", async () => {
    const prompts = ["abc", "h", [5, 5]];
    const done: number[] = [];
    const onProgress = (count: number): void => {
      done.push(count);
    };
    const found = await compareModels(one, other, { prompts, maxNewTokens: 10, onProgress });
    expect(found.largestLogit).toBeCloseTo(0.5, 5);
    expect(done).toEqual([1, 2, 3]);
    expect(found.sameTokens).toBe(3 - found.differences.length);
    expect(found.differences.length).toBeGreaterThan(0);
    for (const { prompt, index, id, otherId, margin, otherMargin } of found.differences) {
      expect(otherId).toBe(3);
      expect(id).not.toBe(3);
      // The addition of half a unit made this token's logit the largest logit. So the margin of the previous largest
      // logit was at most half a unit.
      expect(margin + otherMargin).toBeLessThanOrEqual(0.5 + 1e-5);
      expect(index).toBeLessThan(10);
      expect(prompt).toBeLessThan(3);
    }
  });

  it("tells of logits that are no numbers, also in the first prompt alone", async () => {
    let calls = 0;
    const broken: LanguageModel = {
      ...same,
      model: same.model,
      logits: async (ids) => {
        const { data, shape } = await same.logits(ids);
        return { data: calls++ === 0 ? data.fill(Number.NaN) : data, shape };
      },
    };
    const { largestLogit } = await compareModels(one, broken, { prompts: ["a", "b"], maxNewTokens: 2 });
    expect(largestLogit).toBeNaN();
  });

  it("writes ids where there is no tokenizer, and counts prompts of other ids", async () => {
    const silent = languageModel(same.model, noTokenizer("model", tokenizer.vocabSize));
    const found = await compareModels(silent, one, { prompts: [[1, 2]], maxNewTokens: 5 });
    expect(found).toMatchObject({ largestLogit: 0, sameTokens: 1 });
    const shifted = { ...tokenizer, encode: (text: string) => tokenizer.encode(text).map((id) => (id + 1) % 9) };
    const odd = languageModel(same.model, shifted);
    expect(await compareModels(one, odd, { prompts: ["abc", [1]], maxNewTokens: 2 })).toMatchObject({
      ...{ sameIds: 1, textDifference: { kind: "ids", text: "abc", index: 0, id: 1, otherId: 2 } },
    });
    expect(found.textDifference).toEqual({ kind: "tokenizer", tokenizer: "none", otherTokenizer: "char" });
    expect(await compareModels(silent, silent, { prompts: [[1]], maxNewTokens: 1 })).toMatchObject({
      textDifference: null,
    });
  });

  describe("of two tokenizers or chat templates, on prompts of ids alone", () => {
    const learned = trainBpeTokenizer({ vocabSize: 263, specialTokens: ["<|end|>"] }, "aa bb aab 123 1234 ".repeat(9));
    const parts = bpePartsOf(learned.toJSON(), "tokenizer");
    const { vocabSize } = learned;
    const facts = (template: string, bosToken = "") => ({ chatTemplate: { template, bosToken, eosToken: "" } });
    const swapped = <Item>(items: readonly Item[], i: number, j: number): readonly Item[] =>
      items.map((item, place) => (place === i ? items[j] : place === j ? items[i] : item) as Item);
    const compare = async (
      [ours, theirs]: readonly [Tokenizer, Tokenizer],
      [own, other]: readonly [LanguageModelFacts, LanguageModelFacts] = [{}, {}],
    ) => {
      const model = hashedModel(backend, config, vocabSize + 2);
      const pair = [
        languageModel(model, ours, undefined, own),
        languageModel(model, theirs, undefined, other),
      ] as const;
      const { textDifference } = await compareModels(...pair, { prompts: [[97, vocabSize + 1]], maxNewTokens: 1 });
      model.close();
      return textDifference;
    };
    const mergeText = (index: number): string => [parts.merges[index] ?? []].flat().join(" ");
    const special = parts.specialTokens[0]?.id ?? -1;

    it("finds none in a tokenizer that is read back, filled up to the rows of the model", async () => {
      const filled = [...parts.tokens, "<|end|>", `[PAD${vocabSize}]`, `[PAD${vocabSize + 1}]`];
      expect(special).toBe(parts.tokens.length);
      expect(await compare([learned, bpeTokenizer({ ...parts, tokens: filled })])).toBe(null);
      const template = facts("a\nb", "<s>");
      expect(await compare([learned, learned], [template, facts("a\nb")])).toBe(null);
    });

    it.each([
      [
        "the texts of two tokens",
        { tokens: swapped(parts.tokens, 64, 65) },
        {
          ...{ kind: "token", id: 64 },
          token: { text: "a", special: false },
          otherToken: { text: "b", special: false },
        },
      ],
      [
        "a special token that is ordinary",
        { specialTokens: [], namedTokens: parts.specialTokens },
        {
          ...{ kind: "token", id: special },
          token: { text: "<|end|>", special: true },
          otherToken: { text: "<|end|>", special: false },
        },
      ],
      [
        "the order of merges",
        { merges: swapped(parts.merges, 0, 1) },
        { kind: "merge", index: 0, merge: mergeText(0), otherMerge: mergeText(1) },
      ],
      ["a merge more", { merges: parts.merges.slice(0, -1) }, { kind: "merge", otherMerge: null }],
      ["the rules by which a text is split", { pattern: "llama3" }, { kind: "ids" }],
    ] as const)("finds %s", async (_, change, difference) => {
      const other = bpeTokenizer({ ...parts, ...change } as BpeParts);
      expect(await compare([learned, other])).toMatchObject(difference);
    });

    it("finds ids that end a text, chat templates, and tokens that they name", async () => {
      const both = [learned, learned] as const;
      expect(await compare(both, [{ endTokens: [7, 5] }, { endTokens: [5, 7] }])).toBe(null);
      expect(await compare(both, [{ endTokens: [7, 5] }, {}])).toEqual({
        ...{ kind: "endTokens", endTokens: [5, 7], otherEndTokens: [] },
      });
      expect(await compare(both, [facts("a\nb"), facts("a\nc\nd")])).toEqual({
        ...{ kind: "chatTemplate", line: 2, text: "b", otherText: "c" },
      });
      expect(await compare(both, [facts("a"), {}])).toMatchObject({ kind: "chatTemplate", line: 1, otherText: null });
      expect(await compare(both, [facts("{{ bos_token }}", "<s>"), facts("{{ bos_token }}")])).toEqual({
        ...{ kind: "templateToken", name: "bos_token", token: "<s>", otherToken: "" },
      });
    });
  });

  it("refuses prompts that no context holds, other vocabularies and unknown characters", async () => {
    const compare = (prompts: readonly (string | readonly number[])[], lm = same) =>
      compareModels(one, lm, { prompts });
    await expect(compare(["a".repeat(16)])).rejects.toThrow(
      /prompts\[0\]: must be shorter than the context of 16 tokens/u,
    );
    await expect(compare(["a", ""])).rejects.toThrow(/prompts\[1\]: must be a text or a list of token ids/u);
    await expect(compare([[99]])).rejects.toThrow(ConfigError);
    await expect(compare(["xyz"])).rejects.toThrow(DataError);
    const wide = languageModel(hashedModel(backend, config, 12), noTokenizer("model", 12));
    await expect(compare(["a"], wide)).rejects.toThrow(/must have the same tokens; got vocabularies of 9 and 12/u);
    await wide.close();
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(compareModels(one, same, { prompts: ["a"], signal })).rejects.toThrow("enough");
    // As Ctrl-C does, this aborts between two tasks of the event loop.
    const later = new AbortController();
    setImmediate(() => later.abort(new Error("enough now")));
    await expect(compareModels(one, same, { prompts: ["a"], signal: later.signal })).rejects.toThrow("enough now");
  });
});
