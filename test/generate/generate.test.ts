import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { ConfigError, DataError } from "#foretoken/core/errors/errors.js";
import { beamSearch } from "#foretoken/generate/beam-search.js";
import type { GenerateDoneEvent, TokenEvent } from "#foretoken/generate/events.js";
import { generate } from "#foretoken/generate/generate.js";
import type { GenerateOptions } from "#foretoken/generate/options.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { loadTokenizer } from "#foretoken/tokenizer/registry.js";
import { byteTokenizer } from "../support/byte-tokenizer.ts";
import { bookModel, hashedModel } from "../support/models.ts";

const characters = [..."abcdefghijklmnopqrstuvwxyz \n."];
const contextLength = 12;
let backend: Backend;
let lm: LanguageModel;
beforeAll(async () => {
  backend = await openReference();
  const config = { ...bookModel, contextLength, nEmbd: 16, nHead: 2, nLayer: 2 };
  lm = languageModel(hashedModel(backend, config, characters.length), charTokenizer(characters));
});
afterAll(() => backend.close());

const write = async (options: Partial<GenerateOptions> = {}, model = lm) => {
  const tokens: TokenEvent[] = [];
  let done: GenerateDoneEvent | undefined;
  for await (const event of generate(model, {
    prompt: "the ",
    maxNewTokens: 30,
    topK: 0,
    temperature: 1,
    ...options,
  })) {
    if (event.type === "token") tokens.push(event);
    else done = event;
  }
  if (done === undefined) throw new Error("generation ended without `done`");
  return { tokens, done, text: done.text };
};

describe("generate", () => {
  it("yields every token, then `done` with all of the text and why it ended", async () => {
    const { tokens, done } = await write();
    expect(tokens.map(({ index }) => index)).toEqual(Array.from({ length: 30 }, (_, i) => i));
    expect(done).toMatchObject({ v: 1, finishReason: "length", promptTokens: 4, newTokens: 30 });
    expect(tokens.map(({ text }) => text).join("")).toBe(done.text);
    expect(lm.tokenizer.decode(tokens.map(({ id }) => id))).toBe(done.text);
  });

  it("writes the same text with the same seed, and another with another", async () => {
    const { text } = await write({ seed: 3 });
    expect((await write({ seed: 3 })).text).toBe(text);
    expect((await write({ seed: 4 })).text).not.toBe(text);
  });

  it("writes the same text with and without a cache, past the context too", async () => {
    for (const prompt of ["a", "the cat sat", "longer than the context. "]) {
      const cached = await write({ prompt, maxNewTokens: 25, cache: true });
      expect((await write({ prompt, maxNewTokens: 25, cache: false })).text).toBe(cached.text);
    }
  });

  it("takes the likeliest token of the last contextLength when greedy", async () => {
    const { tokens } = await write({ temperature: 0, prompt: "abc", maxNewTokens: 20 });
    const ids = Array.from(lm.tokenizer.encode("abc"));
    for (const { id } of tokens) {
      const { data, shape } = await lm.logits(ids.slice(-contextLength));
      const last = data.subarray((shape[0] - 1) * shape[1]);
      expect(id).toBe(last.indexOf(Math.max(...last)));
      ids.push(id);
    }
    expect((await write({ temperature: 2, topK: 1, prompt: "abc", maxNewTokens: 20, seed: 9 })).tokens).toEqual(tokens);
  });

  it("takes the same numbers for the same token, whatever was drawn before", async () => {
    // The short text equals the beginning of the longer text. So token i depends only on draw i, and not on the total
    // number of tokens.
    const { text } = await write({ maxNewTokens: 30 });
    expect((await write({ maxNewTokens: 11 })).text).toBe(text.slice(0, 11));
  });

  it("ends before a stop string, across token borders, and shows nothing of it", async () => {
    const { text } = await write();
    const stop = text.slice(7, 10);
    const before = text.slice(0, text.indexOf(stop));
    const { done, tokens } = await write({ stop: ["never in it", stop] });
    expect(done).toMatchObject({ finishReason: "stop", text: before, newTokens: before.length + stop.length });
    expect(tokens.map((token) => token.text).join("")).toBe(before);
  });

  it("tells with the last token what was held back for a stop string that did not come", async () => {
    const { text } = await write({ maxNewTokens: 10 });
    const stop = `${text.slice(-2)}\u{1F600}`;
    const { done, tokens } = await write({ maxNewTokens: 10, stop: [stop] });
    expect(done).toMatchObject({ finishReason: "length", text, newTokens: 10 });
    expect(tokens.map((token) => token.text)).toEqual([...text.slice(0, -2), "", text.slice(-2)]);
  });

  it("tells of what was held back neither in a token nor at the end where the signal is aborted", async () => {
    const { text } = await write({ maxNewTokens: 10 });
    const controller = new AbortController();
    const seen: string[] = [];
    const options = { prompt: "the ", topK: 0, temperature: 1, stop: [`${text.slice(3, 5)}\u{1F600}`] };
    let done: GenerateDoneEvent | undefined;
    for await (const event of generate(lm, { ...options, signal: controller.signal })) {
      if (event.type === "done") done = event;
      else seen.push(event.text);
      if (seen.length === 5) controller.abort();
    }
    expect(seen.join("")).toBe(text.slice(0, 3));
    expect(done).toMatchObject({ finishReason: "aborted", newTokens: 5, text: text.slice(0, 3) });
  });

  it("ends with `aborted` and the text so far", async () => {
    const controller = new AbortController();
    const seen: string[] = [];
    for await (const event of generate(lm, { prompt: "a", maxNewTokens: 30, signal: controller.signal })) {
      if (event.type === "token") seen.push(event.text);
      else expect(event).toMatchObject({ finishReason: "aborted", newTokens: 5, text: seen.join("") });
      if (seen.length === 5) controller.abort();
    }
    expect(seen.length).toBe(5);
    expect((await write({ signal: AbortSignal.abort() })).done).toMatchObject({
      finishReason: "aborted",
      newTokens: 0,
    });
  });

  it("lets timers run while it writes, so that a timer can abort it", async () => {
    const most = 1_000_000;
    const { done } = await write({ maxNewTokens: most, signal: AbortSignal.timeout(100) });
    expect(done.finishReason).toBe("aborted");
    expect(done.newTokens).toBeLessThan(most);
  });

  it("lets timers run while it searches with beams", async () => {
    const long = hashedModel(backend, { ...lm.model.config, contextLength: 2000 }, characters.length);
    const options = { prompt: "a", beams: 4, maxNewTokens: 1999, signal: AbortSignal.timeout(100) };
    const own = languageModel(long, lm.tokenizer);
    const [best] = await beamSearch(own, options);
    await own.close();
    expect(best?.finishReason).toBe("aborted");
    expect(best?.ids.length).toBeLessThan(1999);
  });

  it("ends after the token during which it was aborted", async () => {
    const controller = new AbortController();
    const adjustLogits = (): void => controller.abort();
    const { tokens, done } = await write({ adjustLogits, signal: controller.signal });
    expect(tokens.length).toBe(1);
    expect(done).toMatchObject({ finishReason: "aborted", newTokens: 1, text: tokens[0]?.text });
  });

  it("computes a token when it is asked for, with the weights as they are then", async () => {
    const own = languageModel(hashedModel(backend, lm.model.config, characters.length), lm.tokenizer);
    const { layout } = own.model;
    let calls = 0;
    const adjustLogits = (): void => void calls++;
    const ids = [0, 1, 2];
    const events = generate(own, { prompt: ids, maxNewTokens: 8, temperature: 0, cache: false, adjustLogits });
    for (let count = 1; count <= 8; count++) {
      const { value } = await events.next();
      await new Promise((resolve) => setImmediate(resolve));
      expect(calls).toBe(count);
      const { data } = await own.logits(ids);
      const last = data.subarray(-characters.length);
      expect(value).toMatchObject({ type: "token", id: last.indexOf(Math.max(...last)) });
      ids.push(value?.type === "token" ? value.id : 0);
      own.model.writeWeights(
        Float32Array.from({ length: layout.length }, (_, i) => Math.sin(i + count)),
        0,
      );
    }
    expect((await events.next()).value).toMatchObject({ type: "done", finishReason: "length" });
    own.model.close();
  });

  it("ends with the end of text, which is no text unless it is asked for", async () => {
    const special = await loadTokenizer(charTokenizer(characters, ["<|system|>", "<|endoftext|>"]).toJSON());
    const speaker = languageModel(hashedModel(backend, lm.model.config, special.vocabSize), special);
    const options = { maxNewTokens: 400, temperature: 2 };
    const { done, tokens } = await write(options, speaker);
    expect(done.finishReason).toBe("endOfText");
    expect(tokens.at(-1)).toMatchObject({ id: special.endOfText, text: "" });
    expect(tokens.slice(0, -1).map(({ id }) => id)).not.toContain(special.endOfText);
    expect(done).toMatchObject({ newTokens: tokens.length, text: special.decode(tokens.map(({ id }) => id)) });
    expect(done.text).not.toContain("<|");
    const shown = await write({ ...options, showSpecialTokens: true }, speaker);
    expect(shown.text).toBe(
      special.decode(
        tokens.map(({ id }) => id),
        { showSpecialTokens: true },
      ),
    );
    expect(shown.text.endsWith("<|endoftext|>")).toBe(true);
    // The end of this text could be the beginning of a stop string. But this end is sent, too.
    const held = await write({ ...options, stop: [`${done.text.slice(-2)}\u{1F600}`] }, speaker);
    expect(held.done).toMatchObject({ finishReason: "endOfText", text: done.text });
    speaker.model.close();
  });

  it("holds back bytes until they make a character", async () => {
    const bytes = byteTokenizer();
    const speaker = languageModel(hashedModel(backend, lm.model.config, bytes.vocabSize), bytes);
    const { tokens, text } = await write({ prompt: "é", maxNewTokens: 60, temperature: 2 }, speaker);
    expect(tokens.map((token) => token.text).join("")).toBe(text);
    expect(text).toBe(bytes.decode(tokens.map(({ id }) => id)));
    speaker.model.close();
  });

  it("refuses what cannot work, in one line", async () => {
    await expect(write({ prompt: "" })).rejects.toThrow("generate: the prompt must have at least one token");
    await expect(write({ prompt: "Ü" })).rejects.toThrow(DataError);
    for (const bad of [
      { temperature: -1 },
      { temperature: Number.NaN },
      { topK: -1 },
      { topK: 1.5 },
      { topP: 0 },
      { topP: 1.1 },
      { minP: 2 },
      { maxNewTokens: 0 },
      { seed: -1 },
      { stop: [""] },
      { stop: "a" as never },
      { prompt: null as never },
      { prompt: 1 as never },
      { cache: "no" as never },
    ]) {
      const failure = await write(bad).catch((error: unknown) => error);
      expect(failure, JSON.stringify(bad)).toBeInstanceOf(ConfigError);
      expect((failure as ConfigError).message).toMatch(
        new RegExp(`^generate\\.${Object.keys(bad)[0]}[^\n]*; got [^\n]*$`),
      );
    }
    await expect(write({ seeds: 1 } as never)).rejects.toThrow(
      'generate: every key must be a known one; got "seeds"; try seed',
    );
    expect(backend.bytesInUse()).toBe(lm.model.layout.length * 4);
  });

  it("leaves out of the prompt what the model never saw, on request, and tells it in the end", async () => {
    const { done, text } = await write({ prompt: "thE é eÉ", unknown: "skip" });
    expect(done.skipped).toEqual({ count: 3, characters: ["E", "é", "É"] });
    expect(done.promptTokens).toBe(5);
    expect(text).toBe((await write({ prompt: "th  e" })).text);
    expect((await write({ prompt: "th  e", unknown: "skip" })).done).not.toHaveProperty("skipped");
    await expect(write({ prompt: "thE" })).rejects.toThrow(/got "E" .*; try unknown: "skip", or a model/u);
    await expect(write({ prompt: "ÉÉ", unknown: "skip" })).rejects.toThrow(
      /must have at least one token .* got only 2 characters that the model never saw: "É"/u,
    );
    await expect(write({ unknown: "ignore" as "skip" })).rejects.toThrow(/generate\.?.*unknown.* must be .*error/u);
  });

  it("begins with a line end where no prompt is given, or with the first token of a model that knows none", async () => {
    const textOf = async (model: LanguageModel, options?: GenerateOptions): Promise<GenerateDoneEvent> => {
      for await (const event of generate(model, options)) if (event.type === "done") return event;
      throw new Error("no end");
    };
    const unlined = languageModel(lm.model, charTokenizer(characters.map((one) => (one === "\n" ? "!" : one))));
    for (const [model, prompt] of [
      [lm, "\n"],
      [unlined, "a"],
    ] as const) {
      const given = await textOf(model, { prompt, maxNewTokens: 8 });
      expect(await textOf(model, { maxNewTokens: 8 })).toEqual(given);
      expect(await textOf(model, { maxNewTokens: 8, prompt: undefined })).toEqual(given);
    }
    expect((await textOf(lm)).newTokens).toBe(400);
  });

  it("takes a setting that is undefined for one that is not set", async () => {
    const unset = { seed: undefined, stop: undefined, topP: undefined, cache: undefined, signal: undefined };
    expect(await write(unset)).toEqual(await write());
  });
});
