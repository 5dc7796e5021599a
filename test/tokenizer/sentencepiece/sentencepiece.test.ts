import { describe, expect, it } from "vitest";
import { CheckpointError, DataError } from "#foretoken/core/errors/errors.js";
import { tokenizerConfigOf } from "#foretoken/tokenizer/from-config.js";
import { loadTokenizer } from "#foretoken/tokenizer/registry.js";
import { encodeInside, encodePart, encodeWithSpecials } from "#foretoken/tokenizer/special.js";
import { textStream } from "#foretoken/tokenizer/text-stream.js";
import { modelNames, pieceTokenizer, sentencePieces } from "../../support/sentencepiece.ts";

const { texts, models, unigramJson } = sentencePieces;
const withBytes = ["gemma", "llama"] as const;

describe.each(modelNames)("a SentencePiece tokenizer, %s", (name) => {
  const tokenizer = pieceTokenizer(name);

  it("has the ids of SentencePiece", () => {
    for (const [i, text] of texts.entries())
      expect([text, [...tokenizer.encode(text)]]).toEqual([text, models[name].ids[i]]);
  });

  it("has the same ids from its tokenizer.json", async () => {
    const again = await loadTokenizer(JSON.parse(JSON.stringify(tokenizer.toJSON())));
    expect([again.kind, tokenizerConfigOf(again)]).toEqual(["sentencepiece", { kind: "sentencepiece" }]);
    expect([again.specialTokens, again.beginOfText]).toEqual([tokenizer.specialTokens, tokenizer.beginOfText]);
    for (const text of texts) {
      const ids = tokenizer.encode(text);
      expect([text, ...again.encode(text)]).toEqual([text, ...ids]);
      expect(again.decode(ids)).toBe(tokenizer.decode(ids));
    }
  });

  it("has bytes, texts and names for every id, and refuses others", () => {
    const { tokens, types } = models[name];
    for (const [id, type] of types.entries()) {
      const shown = new TextDecoder().decode(tokenizer.bytes(id));
      if (type === 1) expect(shown).toBe((tokens[id] ?? "").replaceAll("▁", " "));
      if (type === 2 || type === 3) expect([shown, tokenizer.token(id)]).toEqual(["", tokens[id]]);
    }
    for (const id of [-1, tokens.length, 0.5]) expect(() => tokenizer.bytes(id)).toThrow(DataError);
    expect(() => tokenizer.encode("a\ud800")).toThrow(/well-formed/u);
  });
});

it.each(withBytes)("a text comes back from %s, at once and token by token", (name) => {
  const tokenizer = pieceTokenizer(name);
  for (const text of texts) {
    const ids = tokenizer.encode(text);
    expect(tokenizer.decode(ids)).toBe(text);
    const stream = textStream(tokenizer);
    const streamed = Array.from(ids, (id) => stream.push(id)).join("") + stream.end();
    // The space before a text is one of its tokens.
    expect(streamed).toBe(name === "llama" && text !== "" ? ` ${text}` : text);
  }
});

it("a tokenizer.json of Unigram has the ids of tokenizers", async () => {
  const tokenizer = await loadTokenizer(unigramJson.json);
  for (const [i, text] of texts.entries())
    expect([text, [...tokenizer.encode(text)]]).toEqual([text, unigramJson.ids[i]]);
});

describe("merging", () => {
  const { tokens, scores, types } = models.gemma;
  const ids = new Map(tokens.map((token, id): [string, number] => [types[id] === 1 ? token : `type ${id}`, id]));

  /** The definition: repeatedly merges the best of all pairs. */
  const merged = (text: string): readonly string[] => {
    const parts = [...text.replaceAll(" ", "▁")];
    for (;;) {
      let [best, at] = [Number.NEGATIVE_INFINITY, -1];
      for (let i = 0; i + 1 < parts.length; i++) {
        const id = ids.get(`${parts[i]}${parts[i + 1]}`);
        const score = id === undefined ? Number.NEGATIVE_INFINITY : (scores[id] as number);
        if (score > best) [best, at] = [score, i];
      }
      if (at === -1) return parts;
      parts.splice(at, 2, `${parts[at]}${parts[at + 1]}`);
    }
  };

  it("takes the pair with the best score, however a text is cut", () => {
    const tokenizer = pieceTokenizer("gemma");
    const letters = "  the millersackä,;+x";
    let state = 1;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let i = 0; i < 300; i++) {
      const text = Array.from({ length: 1 + random(60) }, () => letters[random(letters.length)]).join("");
      const expected = merged(text).filter((part) => part !== "");
      expect(Array.from(tokenizer.encode(text), (id) => tokens[id])).toEqual(expected);
    }
  });

  it("of a text without any place to cut takes O(n log n)", () => {
    const text = "the".repeat(30_000);
    expect(pieceTokenizer("llama").decode(pieceTokenizer("llama").encode(text))).toBe(text);
  });

  it("a name of a special token, or of a byte, is ordinary text", () => {
    const tokenizer = pieceTokenizer("gemma");
    const special = new Set(tokenizer.specialTokens.map(({ id }) => id));
    for (const text of ["<s>", "</s>", "<turn>", "<unk>", "<0x41>"]) {
      const found = tokenizer.encode(text);
      expect([...found].some((id) => special.has(id))).toBe(false);
      expect(tokenizer.decode(found)).toBe(text);
    }
  });
});

describe("a damaged vocabulary is refused in one line", () => {
  const { tokens, types, scores } = models.gemma;
  const count = tokens.length;
  const changed = <T>(list: readonly T[], at: number, value: T): readonly T[] => list.with(at, value);
  const aByte = types.indexOf(6);

  it.each([
    [
      "scores that are not there",
      { scores: undefined },
      /tokenizer\.ggml\.scores: must be a list of numbers; got nothing$/u,
    ],
    [
      "too few scores",
      { scores: Float32Array.of(1) },
      new RegExp(`must have a score for each of the ${count} tokens; got 1$`, "u"),
    ],
    [
      "a score that is no number",
      { scores: Float32Array.from(changed(scores, 9, Number.NaN)) },
      /the score of token 9 must be a finite number; got NaN$/u,
    ],
    [
      "types of another length",
      { token_type: Int32Array.of(1) },
      /must have a type for each of the \d+ tokens; got 1$/u,
    ],
    [
      "a type that there is not",
      { token_type: Int32Array.from(changed(types, 9, 7)) },
      /the type of token 9 must be a number from 1 to 6; got 7$/u,
    ],
    [
      "a byte without a token",
      { token_type: Int32Array.from(changed(types, aByte, 1)) },
      /a token for each of the 256 bytes, or for no byte; got no token for <0x00>$/u,
    ],
    [
      "a byte with another name",
      { tokens: changed(tokens, aByte, "zero") },
      /byte tokens must have names such as <0x0A>; got "zero"$/u,
    ],
    ["no tokens for texts", { token_type: new Int32Array(count).fill(3) }, /must have ordinary tokens; got none$/u],
    [
      "a table of characters that is cut off",
      { precompiled_charsmap: Uint8Array.of(8, 0, 0, 0, 1) },
      /precompiled_charsmap\) must have a trie and replacements; got 5 bytes/u,
    ],
    [
      "an id above all tokens",
      { bos_token_id: 10_000, add_bos_token: true },
      /bos_token_id: must be below \d+, the number of tokens; got 10000$/u,
    ],
  ])("%s", (_, changes, says) => {
    const open = () => pieceTokenizer("gemma", changes);
    expect(open).toThrow(CheckpointError);
    expect(open).toThrow(says);
    expect(open).toThrow(/^model\.gguf/u);
  });

  it("a table of characters that leads nowhere changes nothing", () => {
    const damaged = Uint8Array.of(4, 0, 0, 0, 0, 0xff, 0xff, 0xff, 65, 0);
    const tokenizer = pieceTokenizer("unigram", { precompiled_charsmap: damaged });
    expect(tokenizer.decode(tokenizer.encode("the miller"))).toBe("the miller");
  });
});

describe("the space before a text", () => {
  const tokenizer = pieceTokenizer("llama");
  const textOf = (ids: Int32Array): string =>
    new TextDecoder().decode(Uint8Array.from([...ids].flatMap((id) => [...tokenizer.bytes(id)])));

  it("comes before a text and after a special token, and not inside of a text", async () => {
    expect(textOf(tokenizer.encode("the"))).toBe(" the");
    expect(textOf(tokenizer.encode("the", "text", "<s>"))).toBe(" the");
    expect(textOf(encodeInside(tokenizer, "the"))).toBe("the");
    expect(textOf(encodeWithSpecials(tokenizer, "<s>the</s>mill"))).toBe(" the mill");
    expect(textOf(encodePart(tokenizer, "<s>the mill", 7, 11, (text) => text))).toBe("mill");
    // Some tokenizers put the space only before the beginning of the text.
    const json = tokenizer.toJSON() as object;
    const normalizer = { type: "Replace", pattern: { String: " " }, content: "▁" };
    const first = { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false };
    const other = await loadTokenizer({ ...json, normalizer, pre_tokenizer: first });
    expect(textOf(encodeWithSpecials(other, "the</s>mill"))).toBe(" themill");
    expect(other.decode(other.encode("the mill"))).toBe("the mill");
  });
});
