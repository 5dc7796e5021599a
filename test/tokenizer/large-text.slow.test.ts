import { Tokenizer } from "@huggingface/tokenizers";
import { expect, test } from "vitest";
import { trainBpeTokenizer } from "#foretoken/tokenizer/bpe/learn/train.js";
import { wordsText } from "../support/runs.js";
import { fixture, patternNames } from "./fixture.js";

/** JavaScript's \s includes U+FEFF and excludes U+0085. */
const sharedText = (text: string): string => text.replaceAll(/[\ufeff\u0085]/gu, "");

/**
 * In the rule that splits digits, the JavaScript library supports only ASCII digits. The Rust library and our library
 * support all numbers.
 */
const withoutOtherDigits = (text: string): string => text.replaceAll(/(?![0-9])\p{N}/gu, "");

const mixedText = (megabytes: number): string => {
  const samples = fixture.texts.map(sharedText);
  let text = "";
  for (let i = 0; text.length < 1e6 * megabytes; i++) {
    // If a line begins with a letter, no piece extends across the beginning of the line.
    text += `${samples[(i * 7919) % samples.length]} ${wordsText(`large ${i}`, 40)} ${i * 12_345_678}\nz`;
  }
  return text;
};

test.each(patternNames)("2 MB of 10: %s gives the ids that @huggingface/tokenizers gives", (pattern) => {
  const mixed = mixedText(10 / patternNames.length);
  const text = pattern === "smollm" ? withoutOtherDigits(mixed) : mixed;
  const tokenizer = trainBpeTokenizer({ vocabSize: 2000, pattern }, text.slice(0, 2e6));
  const library = new Tokenizer(tokenizer.toJSON() as object, {});
  const ids = tokenizer.encode(text);
  let at = 0;
  // The text is encoded line by line, because the library keeps far more than the ids in memory.
  for (const line of text.split(/(?<=\n)(?=z)/u)) {
    const theirs: readonly number[] = library.encode(line, { add_special_tokens: false }).ids;
    const ours = ids.subarray(at, at + theirs.length);
    if (theirs.some((id, i) => id !== ours[i])) expect([...ours], JSON.stringify(line)).toEqual(theirs);
    at += theirs.length;
  }
  expect(at).toBe(ids.length);
  expect(tokenizer.decode(ids)).toBe(text);
});
