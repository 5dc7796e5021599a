import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CheckpointError, DataError } from "#foretoken/core/errors/errors.js";
import { charTokenizer, trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { loadTokenizer } from "#foretoken/tokenizer/registry.js";
import { textStream } from "#foretoken/tokenizer/text-stream.js";
import { tokenizerConfigJson } from "#foretoken/tokenizer/tokenizer-json.js";
import { codePoint } from "../support/code-points.ts";

/** Any text without unpaired surrogates. */
const text = fc.string({ unit: codePoint, minLength: 1, maxLength: 200 });

describe("char tokenizer", () => {
  it("numbers the distinct code points in order", () => {
    const tokenizer = trainCharTokenizer("ba😀b", "\uffff\n");
    expect(tokenizer.characters).toEqual(["\n", "a", "b", "\uffff", "😀"]);
    expect(tokenizer.vocabSize).toBe(5);
    expect([...tokenizer.encode("😀ab")]).toEqual([4, 1, 2]);
  });

  it("has decode∘encode = identity on any text, one token a code point", () => {
    fc.assert(
      fc.property(text, (sample) => {
        const tokenizer = trainCharTokenizer(sample);
        const ids = tokenizer.encode(sample);
        expect(ids.length).toBe([...sample].length);
        expect(tokenizer.decode(ids)).toBe(sample);
        expect(ids.every((id) => id >= 0 && id < tokenizer.vocabSize)).toBe(true);
      }),
    );
  });

  it("streams what decode returns", () => {
    const tokenizer = trainCharTokenizer("héllo 😀e\u0301");
    const ids = tokenizer.encode("😀 e\u0301");
    const stream = textStream(tokenizer);
    expect([...ids].map((id) => stream.push(id)).join("") + stream.end()).toBe(tokenizer.decode(ids));
  });

  it("names an unknown character and its place", () => {
    const tokenizer = trainCharTokenizer("abc\n😀");
    expect(() => tokenizer.encode("abc\na😀é", "notes.txt")).toThrow(DataError);
    expect(() => tokenizer.encode("abc\na😀é", "notes.txt")).toThrow(
      /^notes\.txt: every character .* 5 .*got "é" \(U\+00E9\) at line 2, column 3 \(character 7\); try /,
    );
    expect(() => tokenizer.encode("a\tb")).toThrow('"\\t" (U+0009) at line 1, column 2');
    expect(() => tokenizer.encode("a\u0301")).toThrow("got U+0301 at");
    expect(() => tokenizer.encode("a\ud800")).toThrow("got U+D800 at");
  });

  it.each([-1, 3, 0.5, Number.NaN])("refuses to decode id %s", (id) => {
    const tokenizer = trainCharTokenizer("abc");
    expect(() => tokenizer.decode([0, id])).toThrow(DataError);
    expect(() => tokenizer.token(id)).toThrow(`integer from 0 to 2; got ${id}`);
  });

  it("refuses to learn from nothing or from half a surrogate pair", () => {
    expect(() => trainCharTokenizer("")).toThrow(DataError);
    expect(() => trainCharTokenizer("a\nb\ud83d")).toThrow("U+D83D, at line 2, column 2");
  });
});

describe("tokenizer.json", () => {
  const original = trainCharTokenizer('0 9\t\n"😀e\u0301');
  const file = (): Record<string, unknown> => JSON.parse(JSON.stringify(original));
  const withModel = (model: Record<string, unknown>): unknown => {
    const json = file();
    return { ...json, model: { ...(json.model as object), ...model } };
  };

  it("comes back as the same tokenizer", async () => {
    await fc.assert(
      fc.asyncProperty(text, async (sample) => {
        const tokenizer = trainCharTokenizer(sample);
        const loaded = await loadTokenizer(JSON.parse(JSON.stringify(tokenizer)));
        expect(loaded).toMatchObject({ kind: "char", characters: tokenizer.characters });
      }),
    );
  });

  it("has no special tokens, and no unknown token among the characters", () => {
    const json = file() as { added_tokens: unknown[]; model: { unk_token: string; vocab: Record<string, number> } };
    expect(json.added_tokens).toEqual([]);
    expect(Object.hasOwn(json.model.vocab, json.model.unk_token)).toBe(false);
    expect(tokenizerConfigJson(128, original)).not.toHaveProperty("bos_token");
    expect(tokenizerConfigJson(128, original)).not.toHaveProperty("eos_token");
  });

  it("keeps special tokens, their ids and which one is the end of text", async () => {
    const special = charTokenizer([..."ab"], ["<|system|>", "<|endoftext|>"]);
    const json = JSON.parse(JSON.stringify(special)) as { added_tokens: unknown[] };
    expect(json.added_tokens[1]).toMatchObject({ id: 3, content: "<|endoftext|>", special: true, normalized: false });
    const loaded = await loadTokenizer(json);
    expect(loaded.specialTokens).toEqual(special.specialTokens);
    expect([loaded.vocabSize, loaded.endOfText]).toEqual([4, 3]);
    expect(tokenizerConfigJson(128, loaded)).toHaveProperty("eos_token", "<|endoftext|>");
    // In a text, the name of the end-of-text token is ordinary text. Here the characters of this name are unknown.
    expect(() => loaded.encode("<|endoftext|>")).toThrow(DataError);
  });

  const withAdded = (...tokens: object[]): unknown => ({
    ...file(),
    added_tokens: tokens.map((token) => ({
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
      ...token,
    })),
  });

  it.each([
    ["another kind", withModel({ type: "BPE" }), /@huggingface\/tokenizers must be able to read the tokenizer/],
    ["no model", {}, /must have a model/],
    ["no object", "hello", /must have a model; got "hello"/],
    ["a normalizer", { ...file(), normalizer: { type: "NFC" } }, /normalizer must be/],
    ["an added token", { ...file(), added_tokens: [{ id: 0 }] }, /added_tokens\.0\.content must be/],
    ["an added token that is no special one", withAdded({ id: 9, content: "x", special: false }), /0\.special must be/],
    ["an added token that eats spaces", withAdded({ id: 9, content: "x", lstrip: true }), /0\.lstrip must be/],
    ["an added token among the characters", withAdded({ id: 0, content: "x" }), /must follow .*from 9; got "x": 0/],
    ["an added token of a character", withAdded({ id: 9, content: "e" }), /its own name; got "e": 9/],
    [
      "an added token twice",
      withAdded({ id: 9, content: "<s>" }, { id: 10, content: "<s>" }),
      /its own name; got "<s>": 10/,
    ],
    ["half of a surrogate pair", withModel({ vocab: { "\ud800": 0 } }), /must be one character/],
    ["another pre-tokenizer", { ...file(), pre_tokenizer: { type: "Whitespace" } }, /pre_tokenizer\.type must be/],
    ["another decoder", { ...file(), decoder: null }, /decoder must be/],
    ["an unknown token", withModel({ unk_token: "a" }), /model\.unk_token must be/],
    ["a longer token", withModel({ vocab: { ab: 0 } }), /must be one character; got "ab": 0/],
    ["an empty token", withModel({ vocab: { "": 0 } }), /must be one character; got "": 0/],
    ["an id twice", withModel({ vocab: { a: 0, b: 0 } }), /distinct; "a" has the same id; got "b": 0/],
    ["an id past the end", withModel({ vocab: { a: 0, b: 2 } }), /must be 0 to 1, one each; got "b": 2/],
    ["a fractional id", withModel({ vocab: { a: 0.5 } }), /model\.vocab\.a must be/],
    ["no tokens", withModel({ vocab: {} }), /must not be empty/],
  ])("refuses %s", async (_, json, message) => {
    await expect(loadTokenizer(json, "dir/tokenizer.json")).rejects.toThrow(CheckpointError);
    await expect(loadTokenizer(json, "dir/tokenizer.json")).rejects.toThrow(message);
    await expect(loadTokenizer(json, "dir/tokenizer.json")).rejects.toThrow(/^dir\/tokenizer\.json: /);
  });
});

it.each([
  [
    "don't",
    ["\u2019", "d", "n", "o", "t"],
    `got "'" (U+0027) at line 1, column 4 (character 4) (it knows "\u2019" (U+2019)); try`,
  ],
  ["a-b", ["a", "b", "\u2014"], `got "-" (U+002D) at line 1, column 2 (character 2) (it knows "\u2014" (U+2014)); try`],
  ["a'b", ["a", "b", "\u2014"], `got "'" (U+0027) at line 1, column 2 (character 2); try`],
])("of an unknown character it names one that looks alike: %s", (text, known, line) => {
  expect(() => charTokenizer(known).encode(text)).toThrow(line);
});
