import { randomKey, randomStream } from "#foretoken/core/random.js";
import { compileConstraint } from "#foretoken/generate/constraint/compile.js";
import type { Constraint } from "#foretoken/generate/constraint/constraint.js";
import type { Matcher } from "#foretoken/generate/constraint/matcher.js";
import type { Tokenizer } from "#foretoken/tokenizer/tokenizer.js";
import { byteTokenizer } from "./byte-tokenizer.ts";

/** All bytes, and pieces of JSON that contain punctuation together with other characters. */
export const jsonTokenizer = (): Tokenizer =>
  byteTokenizer(
    '{"name": ["a", "b"], "count": 12.5, "on": true, "off": null}, {"id": "😀é", "of": [], "x": {}}'.repeat(3),
    3,
  );

const endsOf = (tokenizer: Tokenizer): number[] => (tokenizer.endOfText === null ? [] : [tokenizer.endOfText]);

export const matcherOf = (constraint: Constraint, tokenizer: Tokenizer = byteTokenizer()): Matcher =>
  compileConstraint(constraint, tokenizer).matcher(endsOf(tokenizer));

/** Whether a whole text matches a constraint. */
export const accepts = (constraint: Constraint, text: string, tokenizer = byteTokenizer()): boolean => {
  const matcher = matcherOf(constraint, tokenizer);
  for (const id of tokenizer.encode(text)) if (!matcher.accept(id)) return false;
  return matcher.isComplete;
};

const idsOf = (mask: Uint32Array): number[] => {
  const ids: number[] = [];
  mask.forEach((bits, word) => {
    for (let bit = 0; bit < 32; bit++) if (((bits >>> bit) & 1) === 1) ids.push(word * 32 + bit);
  });
  return ids;
};

export const allowedIds = (matcher: Matcher): number[] => {
  const mask = new Uint32Array(matcher.maskLength);
  matcher.mask(mask);
  return idsOf(mask);
};

/**
 * A text of allowed tokens. Each token is drawn uniformly, as an untrained model would draw it. Null if the text
 * becomes too long.
 */
export const randomText = (constraint: Constraint, seed: number, tokenizer: Tokenizer, most = 3000): string | null => {
  const matcher = matcherOf(constraint, tokenizer);
  const random = randomStream(randomKey(seed, "sampling"));
  const ids: number[] = [];
  for (let i = 0; i < most; i++) {
    if (matcher.isOver) return tokenizer.decode(ids);
    const allowed = allowedIds(matcher);
    const id = allowed[Math.floor(random.uniform() * allowed.length)];
    if (id === undefined) throw new Error(`nothing may follow ${JSON.stringify(tokenizer.decode(ids))}`);
    if (!matcher.accept(id)) throw new Error(`the mask has token ${id}, which is not accepted`);
    ids.push(id);
  }
  return null;
};
