/** Checks the tokens and merges of a byte-level BPE, and makes the tables for encoding. */
import { CheckpointError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import { characterOfByte } from "./byte-alphabet.ts";
import type { Merges } from "./merge.ts";
import { noToken } from "./missing-bytes.ts";
import { pairTable } from "./pair-table.ts";
import type { MergeRule } from "./parts.ts";

/**
 * Maximum number of tokens. The heap entries of merges need this maximum. The maximum also limits the memory that a
 * forged id can claim.
 */
export const mostTokens = 2 ** 22;

/**
 * Ids of tokens by their texts. If two tokens have the same text, the first token counts. The token "" means that an id
 * has no token.
 */
export const idsOf = (tokens: readonly string[]): ReadonlyMap<string, number> => {
  const ids = new Map<string, number>();
  for (const [id, token] of tokens.entries()) if (token !== "" && !ids.has(token)) ids.set(token, id);
  return ids;
};

const partsOf = (rule: MergeRule): readonly [string, string] => {
  if (typeof rule !== "string") return rule;
  const blank = rule.indexOf(" ");
  return [rule.slice(0, Math.max(0, blank)), rule.slice(blank + 1)];
};

/** @throws CheckpointError if a merge reads or makes an unknown token. */
export const mergesOf = (rules: readonly MergeRule[], ids: ReadonlyMap<string, number>, where: string): Merges => {
  const idOf = (token: string, rule: MergeRule): number => {
    const id = ids.get(token);
    if (id !== undefined) return id;
    throw new CheckpointError({
      where,
      must: `every merge must join two tokens of the vocabulary into a third token; ${show(token)} is not in the vocabulary`,
      got: show(rule),
    });
  };
  const found = pairTable(rules.length);
  /** Index of the rule of each distinct pair. If a pair has several rules, the last rule counts. */
  const lastRule: number[] = [];
  const mergedOfRule = new Int32Array(rules.length);
  for (const [i, rule] of rules.entries()) {
    const [left, right] = partsOf(rule);
    lastRule[found.add(idOf(left, rule), idOf(right, rule))] = i;
    mergedOfRule[i] = idOf(left + right, rule);
  }
  if (found.size === rules.length) return { ranks: found, merged: mergedOfRule };
  const ranks = pairTable(found.size);
  const inOrder = lastRule.map((rule, pair) => ({ rule, pair })).sort((a, b) => a.rule - b.rule);
  for (const { pair } of inOrder) ranks.add(found.left(pair), found.right(pair));
  return { ranks, merged: Int32Array.from(inOrder, ({ rule }) => mergedOfRule[rule] as number) };
};

/**
 * Token of each byte. A byte without a token has `noToken`.
 * @throws CheckpointError if no byte has a token, because the tokens are then not in the byte alphabet.
 */
export const idsOfBytes = (ids: ReadonlyMap<string, number>, where: string): Int32Array => {
  const found = Int32Array.from(characterOfByte, (character) => ids.get(character) ?? noToken);
  if (found.some((id) => id !== noToken)) return found;
  throw new CheckpointError({
    where,
    must: "the vocabulary must have tokens for single bytes",
    got: "no token for any of the 256 bytes",
  });
};
