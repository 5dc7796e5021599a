import fc from "fast-check";
import { expect, test } from "vitest";
import { CheckpointError, ConfigError, DataError } from "#foretoken/core/errors/errors.js";
import { bpeTokenizer } from "#foretoken/tokenizer/bpe/bpe.js";
import { bytesInOrder, characterOfByte, fromAlphabet, toAlphabet } from "#foretoken/tokenizer/bpe/byte-alphabet.js";
import { bpeTrainer, trainBpeTokenizer } from "#foretoken/tokenizer/bpe/learn/train.js";
import { mergeBy } from "#foretoken/tokenizer/bpe/merge.js";
import { classOf, letter, lineBreak, number, space } from "#foretoken/tokenizer/bpe/split/character-classes.js";
import { nextPieceOf } from "#foretoken/tokenizer/bpe/split/split.js";
import { idsOf, mergesOf } from "#foretoken/tokenizer/bpe/vocabulary.js";
import { loadTokenizer } from "#foretoken/tokenizer/registry.js";
import { encodeWithSpecials } from "#foretoken/tokenizer/special.js";
import { codePoint } from "../support/code-points.ts";
import { fixture, patternNames } from "./fixture.js";

const encoder = new TextEncoder();

/** Lengths of the pieces of a text in code points. */
const pieceLengths = (pattern: (typeof patternNames)[number], text: string): readonly number[] => {
  const next = nextPieceOf(pattern);
  const bytes = encoder.encode(text);
  const lengths: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = next(bytes, at, bytes.length);
    lengths.push([...new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(at, end))].length);
    at = end;
  }
  return lengths;
};

test("each byte has one character in GPT-2's alphabet, and the order of ids is the order of the characters", () => {
  expect(new Set(characterOfByte).size).toBe(256);
  const all = Uint8Array.from(bytesInOrder);
  expect(fromAlphabet(toAlphabet(all))).toEqual(all);
  expect(toAlphabet(all)).toBe([...toAlphabet(all)].sort().join(""));
  expect(toAlphabet(encoder.encode(" \n"))).toBe("ĠĊ");
  expect(fromAlphabet("日")).toBeUndefined();
});

test.each(patternNames)("%s splits ten scripts, emoji, numbers, white space and code as tokenizers does", (pattern) => {
  for (const [i, text] of fixture.texts.entries()) {
    expect(pieceLengths(pattern, text), JSON.stringify(text)).toEqual(fixture.patterns[pattern].pieces[i]);
  }
});

test.each(patternNames)("%s: a tokenizer.json of tokenizers gives its ids, and the text back", async (pattern) => {
  const { json, ids } = fixture.patterns[pattern];
  const tokenizer = await loadTokenizer(json);
  expect(tokenizer.kind).toBe("bpe");
  for (const [i, text] of fixture.texts.entries()) {
    const encoded = tokenizer.encode(text);
    expect([...encoded], JSON.stringify(text)).toEqual(ids[i]);
    expect(tokenizer.decode(encoded)).toBe(pattern === "qwen2" ? text.normalize("NFC") : text);
  }
});

test.each(patternNames)("%s: the same texts give the merges that tokenizers learns, in its order", (pattern) => {
  const { json, training } = fixture.patterns[pattern];
  const trainer = bpeTrainer({ vocabSize: 600, pattern });
  for (const i of training) trainer.add(fixture.texts[i] ?? "");
  const learned = trainer.train().toJSON() as typeof json;
  expect(learned.model.merges).toEqual(json.model.merges);
  expect(learned.model.vocab).toEqual(json.model.vocab);
  expect(learned.model.merges.length).toBeGreaterThan(300);
});

test("classes of characters are those of tokenizers, but for characters that only a newer Unicode has", () => {
  const inRanges = (ranges: readonly (readonly [number, number])[]): Set<number> => {
    const points = new Set<number>();
    for (const [first, last] of ranges) for (let point = first; point <= last; point++) points.add(point);
    return points;
  };
  const { L, N, space: spaces } = fixture.classes;
  const theirs = { letters: inRanges(L), numbers: inRanges(N), spaces: inRanges(spaces) };
  const differing: number[] = [];
  for (let point = 0; point < 0xf0000; point++) {
    // Unicode planes without assigned characters. Planes from 0xf0000 on are for private use.
    if (point === 0x40000) point = 0xe0000;
    if (point >= 0xd800 && point <= 0xdfff) continue;
    const found = classOf(point);
    const same =
      (found === letter) === theirs.letters.has(point) &&
      (found === number) === theirs.numbers.has(point) &&
      (found === space || found === lineBreak) === theirs.spaces.has(point);
    if (!same) differing.push(point);
  }
  // Characters that one of the two Unicode versions does not assign. No such character is in an early block.
  expect(differing.filter((point) => point < 0x800)).toEqual([]);
  expect(differing.length).toBeLessThan(12_000);
});

/** A tokenizer that is trained on some texts. */
const small = trainBpeTokenizer(
  { vocabSize: 400, specialTokens: ["<|endoftext|>", "<|im_start|>"] },
  fixture.texts.join("\n"),
);

test("any text comes back from its ids, whatever its characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: codePoint }), (text) => {
      const ids = small.encode(text);
      expect(small.decode(ids)).toBe(text);
      expect(ids.every((id) => id >= 0 && id < small.vocabSize)).toBe(true);
    }),
  );
  expect(small.encode("")).toEqual(new Int32Array());
});

test("a long piece is merged as a short one is, by the lowest rank from the left", () => {
  const ids = idsOf(["a", "b", "ab", "abab", "ba", "aa"]);
  const merges = mergesOf(["a b", "ab ab", "b a", "a a"], ids, "test");
  const merge = mergeBy(merges);
  /** A simple implementation. This code searches all pairs again before each merge. */
  const slowly = (symbols: readonly number[]): readonly number[] => {
    const left = [...symbols];
    for (;;) {
      let best: { readonly at: number; readonly rank: number } | undefined;
      for (let at = 0; at + 1 < left.length; at++) {
        const rank = merges.ranks.find(left[at] ?? 0, left[at + 1] ?? 0);
        if (rank !== -1 && (best === undefined || rank < best.rank)) best = { at, rank };
      }
      if (best === undefined) return left;
      left.splice(best.at, 2, merges.merged[best.rank] ?? 0);
    }
  };
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 200 }), (symbols) => {
      const row = Int32Array.from(symbols);
      expect([...row.subarray(0, merge(row, row.length))]).toEqual(slowly(symbols));
    }),
  );
});

test("a piece of a megabyte takes no quadratic time, in encoding and in training", () => {
  const text = "abcde".repeat(200_000);
  const tokenizer = trainBpeTokenizer({ vocabSize: 300 }, text);
  const ids = tokenizer.encode(text);
  expect(ids.length).toBeLessThan(10_000);
  expect(tokenizer.decode(ids)).toBe(text);
});

test("special tokens come last, are no part of a text, and are found where asked", () => {
  const [end, start] = [small.vocabSize - 2, small.vocabSize - 1];
  expect(small.vocabSize).toBe(400);
  expect(small.specialTokens).toEqual([
    { id: end, name: "<|endoftext|>" },
    { id: start, name: "<|im_start|>" },
  ]);
  expect(small.endOfText).toBe(end);
  const text = "<|im_start|>hi<|endoftext|>";
  expect(small.encode(text)).not.toContain(end);
  const ids = encodeWithSpecials(small, text);
  expect([...ids]).toEqual([start, ...small.encode("hi"), end]);
  expect(small.decode(ids)).toBe("hi");
  expect(small.decode(ids, { showSpecialTokens: true })).toBe(text);
  expect(small.bytes(end)).toEqual(new Uint8Array());
  expect(small.token(end)).toBe("<|endoftext|>");
  expect([...encodeWithSpecials(small, "plain")]).toEqual([...small.encode("plain")]);
});

test("tokens.json and merges as of GGUF: tokens that are found by name, whole tokens first, another end of text", () => {
  const bytes = bytesInOrder.map((byte) => characterOfByte[byte] ?? "");
  const parts = {
    tokens: [...bytes, "ab", "abc", "<think>", "<|end|>"],
    merges: ["a b"],
    pattern: "llama3" as const,
    specialTokens: [{ id: 259, name: "<|end|>" }],
  };
  const id = (character: string): number => parts.tokens.indexOf(character);
  const plain = bpeTokenizer(parts);
  expect(plain.endOfText).toBeNull();
  expect([...plain.encode("abc")]).toEqual([256, id("c")]);
  expect(plain.encode("<think>").length).toBe(7);
  const named = bpeTokenizer({
    ...parts,
    ignoreMerges: true,
    endOfText: 259,
    namedTokens: [{ id: 258, name: "<think>" }],
  });
  expect([...named.encode("abc<think>abd")]).toEqual([257, 258, 256, id("d")]);
  expect(named.decode([258])).toBe("<think>");
  expect(named.endOfText).toBe(259);
});

test("what is written is read again as it was", async () => {
  const json = JSON.parse(JSON.stringify(small.toJSON()));
  const read = await loadTokenizer(json);
  expect(read.toJSON()).toEqual(json);
  expect(read.vocabSize).toBe(small.vocabSize);
  expect(read.specialTokens).toEqual(small.specialTokens);
  for (const text of fixture.texts) expect(read.encode(text)).toEqual(small.encode(text));
});

test("training is told what it cannot do", () => {
  expect(() => trainBpeTokenizer({ vocabSize: 256, specialTokens: ["<|a|>"] }, "text")).toThrow(
    "vocabSize must be a whole number from 257 (256 bytes and 1 special tokens)",
  );
  expect(() => trainBpeTokenizer({ vocabSize: 255 }, "text")).toThrow(ConfigError);
  expect(() => trainBpeTokenizer({ vocabSize: 300, specialTokens: ["a"] }, "a")).toThrow(ConfigError);
  expect(() => trainBpeTokenizer({ vocabSize: 300, specialTokens: ["<b>", "<b>"] }, "a")).toThrow(ConfigError);
  expect(() => trainBpeTokenizer({ vocabSize: 300 }, "")).toThrow(DataError);
  // Only the pairs that make "ab" and "abab" occur twice. The space before the second word occurs only once.
  expect(trainBpeTokenizer({ vocabSize: 300 }, "abab abab").vocabSize).toBe(258);
  expect(trainBpeTokenizer({ vocabSize: 256 }, "abab abab").vocabSize).toBe(256);
});

test("a vocabulary that cannot work is refused", () => {
  const tokens = bytesInOrder.map((byte) => characterOfByte[byte] ?? "");
  const parts = { tokens, merges: [], pattern: "gpt2" as const, specialTokens: [] };
  expect(bpeTokenizer(parts).vocabSize).toBe(256);
  expect(() => bpeTokenizer({ ...parts, merges: ["a b"] }, "file")).toThrow(/^file: every merge must join/);
  expect(() => bpeTokenizer({ ...parts, specialTokens: [{ id: 2 ** 30, name: "<a>" }] })).toThrow(CheckpointError);
  expect(() => bpeTokenizer({ ...parts, specialTokens: [{ id: 0, name: "<a>" }] })).toThrow(CheckpointError);
  expect(() => bpeTokenizer(parts).decode([256])).toThrow(DataError);
});
