/** The BOS token: in prompts, and in the windows of evaluation and training. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openBackend } from "#foretoken/backend/select.node.js";
import { encodeDocuments } from "#foretoken/chat/learn.js";
import { evaluationWindows, trainingPasses, windowsToMake } from "#foretoken/data/batches.js";
import { passesOfWindows } from "#foretoken/data/shuffled-windows.js";
import { evaluateChoices } from "#foretoken/evaluate/choices.js";
import { measureTokens, predictedTokens } from "#foretoken/evaluate/evaluate.js";
import { evaluateCorpus } from "#foretoken/evaluate/evaluate-corpus.js";
import { generate } from "#foretoken/generate/generate.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { beginningWith, withBegin } from "#foretoken/tokenizer/begin.js";
import { loadTokenizer } from "#foretoken/tokenizer/registry.js";
import { bookModel, hashedModel } from "../support/models.ts";
import { pieceTokenizer, sentencePieces } from "../support/sentencepiece.ts";

const begin = sentencePieces.models.gemma.tokens.indexOf("<s>");
const tokenizer = pieceTokenizer("gemma", { add_bos_token: true });
const plain = pieceTokenizer("gemma", { add_bos_token: false });
const contextLength = 16;
const config = { ...bookModel, contextLength, nEmbd: 16, nHead: 2, nLayer: 1 };
const text = sentencePieces.texts.slice(0, 90).join(" ");
const ids = tokenizer.encode(text);

describe("a token that texts begin with", () => {
  let backend: Backend;
  let lm: LanguageModel;
  beforeAll(async () => {
    backend = await openBackend("reference", { dtype: "float32" });
    lm = languageModel(hashedModel(backend, config, tokenizer.vocabSize), tokenizer);
  });
  afterAll(() => backend.close());

  const logProbOf = async (window: readonly number[], id: number): Promise<number> => {
    const { data, shape } = await lm.logits(window);
    const row = Float64Array.from(data.subarray((shape[0] - 1) * shape[1]));
    const highest = Math.max(...row);
    return (row[id] as number) - highest - Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - highest), 0));
  };

  it("is known from a GGUF file, from tokenizer.json and from a tokenizer that gets or loses it", async () => {
    expect([tokenizer.beginOfText, plain.beginOfText]).toEqual([begin, null]);
    // llama.cpp adds BOS if a file of the type "gemma" does not say whether BOS is added.
    expect([pieceTokenizer("gemma"), pieceTokenizer("unigram")].map((one) => one.beginOfText)).toEqual([begin, null]);
    expect((await loadTokenizer(tokenizer.toJSON())).beginOfText).toBe(begin);
    const lost = beginningWith(tokenizer, null);
    expect([lost.beginOfText, (await loadTokenizer(lost.toJSON())).beginOfText]).toEqual([null, null]);
    const got = beginningWith(plain, begin);
    expect([got.beginOfText, (await loadTokenizer(got.toJSON())).beginOfText]).toEqual([begin, begin]);
    expect(beginningWith(plain, 1_000_000)).toBe(plain);
  });

  it("is put before a prompt once", async () => {
    expect([...withBegin(tokenizer, Int32Array.of(5))]).toEqual([begin, 5]);
    expect([...withBegin(tokenizer, Int32Array.of(begin, 5))]).toEqual([begin, 5]);
    expect([...withBegin(plain, Int32Array.of(5))]).toEqual([5]);
    const written = async (prompt: string | readonly number[]): Promise<readonly number[]> => {
      const found: number[] = [];
      for await (const event of generate(lm, { prompt, maxNewTokens: 8, temperature: 0 })) {
        if (event.type === "token") found.push(event.id);
      }
      return found;
    };
    const own = Array.from(tokenizer.encode("the miller"));
    expect(await written("the miller")).toEqual(await written([begin, ...own]));
    // BOS is added before an empty prompt, so generation has a token to continue.
    expect(await written("")).toEqual(await written([begin]));
  });

  it("begins each window of an evaluation, and is never predicted", async () => {
    const { natsPerToken, tokens, bitsPerByte } = await evaluateCorpus(
      lm,
      { name: "text", train: "", val: text, parts: [] },
      { split: "all" },
    );
    expect(tokens).toBe(ids.length);
    const logProbs: number[] = [];
    for (const [place, id] of ids.entries()) {
      const from = place - (place % contextLength);
      logProbs.push(await logProbOf([begin, ...ids.subarray(from, place)], id));
    }
    const total = logProbs.reduce((sum, one) => sum + one, 0);
    expect(natsPerToken).toBeCloseTo(-total / ids.length, 5);
    expect(bitsPerByte).toBeCloseTo(-total / Math.LN2 / new TextEncoder().encode(text).length, 5);
    const score = await lm.score(text);
    expect(score.tokens.map(({ logProb }) => logProb)).toEqual(logProbs);
    expect(score.mean).toBeCloseTo(-natsPerToken, 6);
    expect(await lm.score(ids)).toEqual(score);
    // If the ids already begin with BOS, BOS is an ordinary token of the text, and nothing predicts it.
    const own = await lm.score([begin, ...ids]);
    expect([own.mean, own.tokens[0]?.logProb, own.tokens.length]).toEqual([score.mean, null, ids.length + 1]);
    expect((await lm.score("the")).tokens).toHaveLength(tokenizer.encode("the").length);
  });

  it("is not in the windows of a tokenizer without one", () => {
    const measured = measureTokens(ids, plain);
    expect([predictedTokens(measured), predictedTokens(measureTokens(ids, tokenizer))]).toEqual([
      ids.length - 1,
      ids.length,
    ]);
    const options = { contextLength, batchSize: 3 };
    const made = [...windowsToMake(ids, options)].map((make) => make());
    expect(made).toEqual([...evaluationWindows(ids, options)]);
    expect(made[0]?.x).toEqual(ids.slice(0, 3 * contextLength));
  });

  it("comes before the context of a question", async () => {
    const question = { context: "the miller", choices: [" counts", " mill"], answer: 0 };
    const { results } = await evaluateChoices(lm, [question]);
    const context = [begin, ...tokenizer.encode(question.context)];
    const all = [begin, ...tokenizer.encode(question.context + question.choices[0])];
    let expected = 0;
    for (let i = context.length; i < all.length; i++) expected += await logProbOf(all.slice(0, i), all[i] as number);
    expect(results[0]?.logProbs[0]).toBeCloseTo(expected, 5);
  });

  it("begins each window that is learned from", () => {
    const options = { contextLength, batchSize: 4, seed: 1, step: 2 };
    const random = [...trainingPasses(ids, options, 64, undefined, begin)];
    const shuffled = [...passesOfWindows(ids, (i) => i * 5, { from: 0, to: 4, contextLength }, 64, undefined, begin)];
    const before = [...trainingPasses(ids, options, 64)];
    for (const { x, y, rows, time } of [...random, ...shuffled]) {
      for (let row = 0; row < rows; row++) {
        const at = row * time;
        expect(x[at]).toBe(begin);
        expect(x.slice(at + 1, at + time)).toEqual(y.slice(at, at + time - 1));
      }
    }
    // The windows begin at the same positions of the text.
    expect(random[0]?.y.subarray(0, contextLength)).toEqual(before[0]?.x.subarray(0, contextLength));
    expect(shuffled[0]?.y.subarray(0, contextLength)).toEqual(ids.subarray(0, contextLength));
  });

  it("begins a document of plain text, and the loss counts all that follows", async () => {
    const located = [{ where: "a.jsonl:1", source: { kind: "text", text: "the mill" } } as const];
    const learner = { tokenizer, chatTemplate: null };
    const { documents } = await encodeDocuments(learner, located, "a.jsonl", async function* () {});
    const own = [...tokenizer.encode("the mill"), ...(tokenizer.endOfText === null ? [] : [tokenizer.endOfText])];
    expect([...documents.ids]).toEqual([begin, ...own]);
    expect([...documents.counted]).toEqual([0, ...own.map(() => 1)]);
  });
});
