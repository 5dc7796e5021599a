import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CheckpointError, DataError } from "#foretoken/core/errors.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { loadTokenizer, textStream } from "#foretoken/tokenizer/tokenizer.js";
import { tokenizerConfigJson } from "#foretoken/tokenizer/tokenizer-json.js";

/** Any text without half surrogate pairs. */
const text = fc.string({ unit: "binary", minLength: 1, maxLength: 200 });

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
      /^notes\.txt: every character .* 5 .*got "é" \(U\+00E9\) at line 2, column 3 \(character 6\); try /,
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

  it("comes back as the same tokenizer", () => {
    fc.assert(
      fc.property(text, (sample) => {
        const tokenizer = trainCharTokenizer(sample);
        const loaded = loadTokenizer(JSON.parse(JSON.stringify(tokenizer)));
        expect(loaded.kind).toBe("char");
        expect(loaded.characters).toEqual(tokenizer.characters);
      }),
    );
  });

  it("has no special tokens, and no unknown token among the characters", () => {
    const json = file() as { added_tokens: unknown[]; model: { unk_token: string; vocab: Record<string, number> } };
    expect(json.added_tokens).toEqual([]);
    expect(Object.hasOwn(json.model.vocab, json.model.unk_token)).toBe(false);
    expect(tokenizerConfigJson(128)).not.toHaveProperty("bos_token");
  });

  it.each([
    ["another kind", withModel({ type: "BPE" }), /character-level.*got a model of type "BPE"/],
    ["no model", {}, /got JSON that names no model/],
    ["no object", "hello", /got JSON that names no model/],
    ["a normalizer", { ...file(), normalizer: { type: "NFC" } }, /normalizer must be/],
    ["an added token", { ...file(), added_tokens: [{ id: 0 }] }, /added_tokens must be/],
    ["another pre-tokenizer", { ...file(), pre_tokenizer: { type: "Whitespace" } }, /pre_tokenizer\.type must be/],
    ["another decoder", { ...file(), decoder: null }, /decoder must be/],
    ["an unknown token", withModel({ unk_token: "a" }), /model\.unk_token must be/],
    ["a longer token", withModel({ vocab: { ab: 0 } }), /must be one character; got "ab": 0/],
    ["an empty token", withModel({ vocab: { "": 0 } }), /must be one character; got "": 0/],
    ["an id twice", withModel({ vocab: { a: 0, b: 0 } }), /distinct; "a" too; got "b": 0/],
    ["an id past the end", withModel({ vocab: { a: 0, b: 2 } }), /must be 0 to 1, one each; got "b": 2/],
    ["a fractional id", withModel({ vocab: { a: 0.5 } }), /model\.vocab\.a must be/],
    ["no tokens", withModel({ vocab: {} }), /must not be empty/],
  ])("refuses %s", (_, json, message) => {
    expect(() => loadTokenizer(json, "dir/tokenizer.json")).toThrow(CheckpointError);
    expect(() => loadTokenizer(json, "dir/tokenizer.json")).toThrow(message);
    expect(() => loadTokenizer(json, "dir/tokenizer.json")).toThrow(/^dir\/tokenizer\.json: /);
  });
});
