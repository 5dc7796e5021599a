import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import { evaluateCorpus } from "#foretoken/evaluate/evaluate-corpus.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { byteTokenizer } from "../support/byte-tokenizer.ts";
import { bookModel, hashedModel } from "../support/models.ts";
import { useFolder, wordsText } from "../support/runs.ts";

const { newPath, writeText } = useFolder();
const contextLength = 16;
// Text with characters of one, two, three and four bytes.
const text = wordsText("evaluated", 150)
  .replaceAll("the", "thé")
  .replaceAll("mat", "m\u{1F600}t")
  .replaceAll("on", "œ…");
const tokenizer = trainCharTokenizer(text);
const characters = [...text];

let data = "";
let backend: Backend;
let lm: LanguageModel;
beforeAll(async () => {
  data = await writeText(text);
  backend = await openReference();
  const config = { ...bookModel, contextLength, nEmbd: 16, nHead: 2, nLayer: 1 };
  lm = languageModel(hashedModel(backend, config, tokenizer.vocabSize), tokenizer);
});
afterAll(() => backend.close());

/** −ln p of each character after the first character, window by window. */
const nats = async (part: readonly string[]): Promise<number> => {
  const ids = tokenizer.encode(part.join(""));
  let total = 0;
  for (let start = 0; start < ids.length - 1; start += contextLength) {
    const window = ids.slice(start, Math.min(start + contextLength, ids.length - 1));
    const { data: logits, shape } = await lm.logits(window);
    for (let t = 0; t < shape[0]; t++) {
      const row = logits.subarray(t * shape[1], (t + 1) * shape[1]);
      const sum = row.reduce((s, z) => s + Math.exp(z), 0);
      total += Math.log(sum) - (row[ids[start + t + 1] as number] as number);
    }
  }
  return total;
};

describe("evaluate", () => {
  const cut = Math.floor(0.9 * characters.length);
  const parts = { val: characters.slice(cut), train: characters.slice(0, cut), all: characters };

  for (const split of ["val", "train", "all"] as const) {
    it(`predicts each token of "${split}" after the first once, in windows, and counts in every unit`, async () => {
      const part = parts[split];
      const total = await nats(part);
      const result = await evaluate(lm, { data, split });
      const tokens = part.length - 1;
      expect(tokens % contextLength).not.toBe(0);
      expect(result.tokens).toBe(tokens);
      expect(result.natsPerToken).toBeCloseTo(total / tokens, 6);
      expect(result.natsPerCharacter).toBe(result.natsPerToken);
      const bytes = new TextEncoder().encode(part.slice(1).join("")).length;
      expect(bytes).toBeGreaterThan(tokens);
      expect(result.bitsPerByte).toBeCloseTo(total / Math.LN2 / bytes, 6);
      expect(result.perplexity).toBeCloseTo(Math.exp(total / tokens), 4);
    });
  }

  it("tells the loss of characters and bytes for tokens that cut characters", async () => {
    const whole = "né 🐋 né 🐋 ";
    const cut = byteTokenizer(whole, 3);
    const speaker = languageModel(hashedModel(backend, lm.model.config, cut.vocabSize), cut);
    const parts = [{ where: "text", start: 0 }];
    const corpus = { name: "text", train: "", val: whole, parts };
    const { natsPerToken, natsPerCharacter, bitsPerByte, tokens } = await evaluateCorpus(speaker, corpus, {
      split: "all",
    });
    // 18 bytes in 6 tokens. The first token is "né", which nothing predicts.
    expect(tokens).toBe(5);
    expect((natsPerToken * tokens) / natsPerCharacter).toBeCloseTo([...whole].length - 2, 9);
    expect((natsPerToken * tokens) / Math.LN2 / bitsPerByte).toBeCloseTo(18 - 3, 9);
    speaker.model.close();
  });

  it("takes another share of the text to validate on", async () => {
    const { tokens } = await evaluate(lm, { data, valFraction: 0.5 });
    expect(tokens).toBe(characters.length - Math.floor(0.5 * characters.length) - 1);
  });

  const withCharacter = (place: number): string => `${text.slice(0, place)}#${text.slice(place)}`;

  it("says where in its file a character is that the tokenizer lacks, whichever split is measured", async () => {
    const lines = text.split("\n");
    const line = lines.length - 2;
    const before = lines.slice(0, line).join("\n").length + 1;
    const bad = await writeText(withCharacter(before + 3));
    const expected = `${bad}: every character must be one of the ${tokenizer.vocabSize} that the tokenizer knows; got "#" (U+0023) at line ${line + 1}, column `;
    for (const split of ["val", "all"] as const) {
      await expect(evaluate(lm, { data: bad, split })).rejects.toThrow(expected);
    }
    await expect(evaluate(lm, { data: bad, split: "train" })).resolves.toHaveProperty("tokens");
  });

  it("names the file of a folder that such a character is in", async () => {
    const folder = newPath();
    await mkdir(folder);
    await writeFile(join(folder, "a.txt"), text);
    await writeFile(join(folder, "b.txt"), "thé\nc#t\n");
    const expected = `${join(folder, "b.txt")}: every character must`;
    await expect(evaluate(lm, { data: folder })).rejects.toThrow(expected);
    await expect(evaluate(lm, { data: folder })).rejects.toThrow("at line 2, column 2 (character 6)");
  });

  it("measures without what the tokenizer lacks, on request, and says what that was", async () => {
    const bad = await writeText(`${text}#é#Ω`);
    const result = await evaluate(lm, { data: bad, split: "all", unknown: "skip" });
    expect(result.skipped).toEqual({ count: 3, characters: ["#", "Ω"] });
    const whole = await writeText(`${text}é`);
    const { skipped, ...figures } = result;
    expect(await evaluate(lm, { data: whole, split: "all", unknown: "skip" })).toEqual(figures);
    const refused = evaluate(lm, { data: bad, split: "all" });
    await expect(refused).rejects.toThrow(/; try unknown: "skip", or a model/u);
    await expect(refused).rejects.toHaveProperty("details.characters", ["#", "Ω"]);
    await expect(evaluate(lm, { data, unknown: "ignore" as "skip" })).rejects.toThrow(
      "evaluate: unknown: must be error or skip; got ignore",
    );
  });

  it("refuses what does not fit: a split that is none, a share where all is measured, a text too short", async () => {
    const vla = "vla" as "val";
    await expect(evaluate(lm, { data, split: vla })).rejects.toThrow(
      'split: must be val, train or all; got "vla"; try val',
    );
    const both = evaluate(lm, { data, split: "all", valFraction: 0.3 });
    await expect(both).rejects.toThrow("valFraction: must not be given when the whole text is used; got 0.3");
    const short = await writeText("t");
    await expect(evaluate(lm, { data: short, split: "all" })).rejects.toThrow(
      "text: the text must have at least 2 tokens",
    );
    await expect(evaluate(lm, { data: short, split: "train" })).rejects.toThrow("training split: the text must have");
  });

  it("refuses to tell a loss that is not finite", async () => {
    const spoilt = hashedModel(backend, lm.model.config, tokenizer.vocabSize);
    backend.write(spoilt.arena.storage, new Float32Array(spoilt.layout.length).fill(Number.NaN));
    await expect(evaluate(languageModel(spoilt, tokenizer), { data })).rejects.toThrow("must be finite; got NaN nats");
    spoilt.close();
  });

  it("waits for its callbacks, and rejects with their error", async () => {
    let over = false;
    const onProgress = async (): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      over = true;
    };
    await evaluate(lm, { data, split: "all", onProgress });
    expect(over).toBe(true);
    const mine = new RangeError("mine");
    await expect(evaluate(lm, { data, onProgress: () => Promise.reject(mine) })).rejects.toBe(mine);
    vi.stubGlobal("fetch", () => Promise.reject(new Error("offline")));
    vi.stubEnv("XDG_CACHE_HOME", newPath());
    vi.stubEnv("FORETOKEN_CORPORA", undefined);
    await expect(evaluate(lm, { onNotice: () => Promise.reject(mine) })).rejects.toBe(mine);
    vi.unstubAllGlobals();
    vi.unstubAllEnvs();
    expect(backend.bytesInUse()).toBe(lm.model.layout.length * 4);
  });

  it("stops at a signal", async () => {
    await expect(evaluate(lm, { data, signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
    expect(backend.bytesInUse()).toBe(lm.model.layout.length * 4);
  });
});
