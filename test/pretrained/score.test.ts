import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { ConfigError, DataError, ShapeError } from "#foretoken/core/errors/errors.js";
import { evaluateCorpus } from "#foretoken/evaluate/evaluate-corpus.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import type { Score } from "#foretoken/pretrained/model/score.js";
import { wholeText } from "#foretoken/pretrained/model/whole-text.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { forEachBackend } from "../support/backends.ts";
import { byteTokenizer } from "../support/byte-tokenizer.ts";
import { bookModel, hashedModel } from "../support/models.ts";
import { wordsText } from "../support/runs.ts";

const contextLength = 16;
const config = { ...bookModel, contextLength, nEmbd: 16, nHead: 2, nLayer: 1 };
// The text has more windows than one forward pass. The last window is shorter.
const text = wordsText("scored", 1100).slice(0, 4500);
const tokenizer = trainCharTokenizer(text);
const ids = tokenizer.encode(text);

const logProbs = ({ tokens }: Score): readonly (number | null)[] => tokens.map(({ logProb }) => logProb);

/** ln softmax(logits)[target] at the last position of `window`. The value is computed only with `logits`. */
const expected = async (lm: LanguageModel, from: number, place: number): Promise<number> => {
  const { data, shape } = await lm.logits(ids.slice(from, place));
  const row = Float64Array.from(data.subarray((shape[0] - 1) * shape[1]));
  const highest = Math.max(...row);
  const sum = row.reduce((total, logit) => total + Math.exp(logit - highest), 0);
  return (row[ids[place] as number] as number) - highest - Math.log(sum);
};

forEachBackend("score", ({ open }) => {
  let backend: Backend;
  let lm: LanguageModel;
  beforeAll(async () => {
    backend = await open(2);
    lm = languageModel(hashedModel(backend, config, tokenizer.vocabSize), tokenizer);
  });
  afterAll(() => backend.close());

  it("gives each token's log-probability as logits does, to the last bit, and leaves nothing behind", async () => {
    const held = backend.bytesInUse();
    const result = await lm.score(text);
    expect(backend.bytesInUse()).toBe(held);
    expect(result.tokens).toHaveLength(ids.length);
    expect(result.tokens[0]).toEqual({ id: ids[0], text: text[0], logProb: null });
    const places = [1, 2, contextLength, contextLength + 1, 2 * contextLength, 4096, 4097, ids.length - 1];
    for (const place of places) {
      const from = Math.floor((place - 1) / contextLength) * contextLength;
      expect(result.tokens[place]?.logProb, `token ${place}`).toBe(await expected(lm, from, place));
    }
    const sum = logProbs(result).reduce<number>((total, value) => total + (value ?? 0), 0);
    expect(result.total).toBe(sum);
    expect(result.mean).toBe(sum / (ids.length - 1));
    expect(await lm.score(ids)).toEqual(result);
  });

  it("names the most probable tokens at each place, also in overlapping windows, and changes nothing else", async () => {
    const own = ids.slice(0, 40);
    for (const stride of [contextLength, 5]) {
      const { tokens, ...rest } = await lm.score(own, { stride, candidates: 3 });
      const plain = await lm.score(own, { stride });
      expect({ ...rest, tokens: tokens.map(({ candidates, ...token }) => token) }).toEqual(plain);
      expect(tokens[0]).not.toHaveProperty("candidates");
      for (let place = 1; place < own.length; place++) {
        const from = stride * Math.max(0, Math.ceil((place - contextLength) / stride));
        const { data, shape } = await lm.logits(own.slice(from, place));
        const row = Float64Array.from(data.subarray((shape[0] - 1) * shape[1]));
        const highest = Math.max(...row);
        const sum = row.reduce((total, logit) => total + Math.exp(logit - highest), 0);
        const sorted = Array.from(row, (logit, id) => ({ id, probability: Math.exp(logit - highest) / sum }))
          .sort((a, b) => b.probability - a.probability || a.id - b.id)
          .map(({ id, probability }) => ({ id, text: tokenizer.token(id), probability }));
        const told = tokens[place]?.candidates?.map(({ logProb, ...one }) => {
          expect(Math.exp(logProb)).toBeCloseTo(one.probability, 12);
          return one;
        });
        expect(told, `token ${place}, stride ${stride}`).toEqual(sorted.slice(0, 3));
      }
    }
  });

  it("gives minus the loss of evaluate, where the windows are the same", async () => {
    for (const part of [text, text.slice(0, 2), text.slice(0, contextLength + 1), text.slice(0, 40)]) {
      const { natsPerToken } = await evaluateCorpus(lm, ...wholeText({ text: part }));
      // The losses of a batch are rounded to float32 once.
      expect(-(await lm.score(part)).mean / natsPerToken).toBeCloseTo(1, 6);
    }
  });

  it("gives each token after the first window at least T − stride tokens of context", async () => {
    const own = ids.slice(0, 70);
    const overlap = 3;
    const whole = await lm.score(own);
    for (const stride of [1, 5, 13, contextLength - overlap, contextLength]) {
      const result = await lm.score(own, { stride });
      expect(logProbs(result).slice(0, contextLength + 1)).toEqual(logProbs(whole).slice(0, contextLength + 1));
      for (let place = 1; place < own.length; place++) {
        const from = stride * Math.max(0, Math.ceil((place - contextLength) / stride));
        expect(place - from).toBeGreaterThan(place > contextLength ? contextLength - stride : 0);
        expect(result.tokens[place]?.logProb, `token ${place}, stride ${stride}`).toBe(await expected(lm, from, place));
      }
    }
  });
});

describe("score", () => {
  let backend: Backend;
  let lm: LanguageModel;
  beforeAll(async () => {
    const { openReference } = await import("#foretoken/backend/implementations/reference/reference.js");
    backend = await openReference();
    lm = languageModel(hashedModel(backend, config, tokenizer.vocabSize), tokenizer);
  });
  afterAll(() => backend.close());

  it("gives texts that add up to the whole, of tokens that cut characters and special ones too", async () => {
    const cut = byteTokenizer("né 🐋 né");
    const speaker = languageModel(hashedModel(backend, config, cut.vocabSize), cut);
    const { tokens } = await speaker.score("né 🐋 né");
    expect(tokens.map((token) => token.text).join("")).toBe("né 🐋 né");
    expect(tokens.some((token) => token.text === "")).toBe(true);
    const end = cut.endOfText as number;
    expect((await speaker.score([end, 65])).tokens.map((token) => token.text)).toEqual(["<|endoftext|>", "A"]);
    // The second token is only the first byte of a character.
    expect((await speaker.score([65, 0xc3])).tokens.map((token) => token.text)).toEqual(["A", "\uFFFD"]);
  });

  it.each([
    ["the 7th", undefined, DataError, /text.*"7"/u],
    ["", undefined, DataError, "score: text: the text must have at least 2 tokens; got 0"],
    ["t", undefined, DataError, "score: text: the text must have at least 2 tokens; got 1"],
    [
      [0, 1.5],
      undefined,
      ShapeError,
      /score: ids: token ids must be whole numbers in \[0, \d+\); got 1.5 at position 1/u,
    ],
    [[0, 1000], undefined, ShapeError, "got 1000 at position 1"],
    [[0, "1"], undefined, ShapeError, 'got "1" at position 1'],
    [7, undefined, ShapeError, "score: ids: must be a list of token ids; got 7"],
    [
      "the cat",
      { stride: 0 },
      ConfigError,
      "score: stride: must be a whole number from 1 to the context length, 16; got 0",
    ],
    ["the cat", { stride: 17 }, ConfigError, "got 17"],
    ["the cat", { stride: 1.5 }, ConfigError, "got 1.5"],
    ["the cat", { stride: "8" }, ConfigError, 'score: stride: must be a number; got "8"'],
    ["the cat", { candidates: 51 }, ConfigError, "score: candidates: must be a whole number from 0 to 50; got 51"],
    ["the cat", { candidates: -1 }, ConfigError, "got -1"],
    ["the cat", { candidates: 1.5 }, ConfigError, "got 1.5"],
    ["the cat", { candidates: "3" }, ConfigError, 'got "3"'],
    ["the cat", { strid: 8 }, ConfigError, /score: every key must be a known one; got "strid"; try stride/u],
    ["the cat", { signal: 1 }, ConfigError, "score: signal"],
    ["the cat", null, ConfigError, "score: options: must be an object of options; got null"],
  ] as const)("refuses %j with options %j", async (given, options, type, message) => {
    const refused = lm.score(given as never, options as never);
    await expect(refused).rejects.toThrow(type);
    await expect(refused).rejects.toThrow(message);
  });

  it("ends with the reason of its signal, between two passes too", async () => {
    await expect(lm.score(text, { signal: AbortSignal.abort(new Error("before")) })).rejects.toThrow("before");
    const controller = new AbortController();
    const long = lm.score(text.repeat(4), { signal: controller.signal });
    setImmediate(() => controller.abort(new Error("between")));
    await expect(long).rejects.toThrow("between");
  });

  it("refuses to tell what is not finite", async () => {
    const bad = languageModel(hashedModel(backend, config, tokenizer.vocabSize), tokenizer);
    backend.write(bad.model.arena.storage, new Float32Array(bad.model.layout.length).fill(Number.NaN));
    await expect(bad.score("the cat")).rejects.toThrow("score: the model's logits must be finite numbers; got NaN");
  });
});
