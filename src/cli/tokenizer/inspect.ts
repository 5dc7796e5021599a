/** Shows how a text splits into tokens. */

import { DataError } from "../../core/errors/errors.ts";
import { beginOf } from "../../tokenizer/begin.ts";
import { charactersBegun } from "../../tokenizer/text-stream.ts";
import { textAlone } from "../../tokenizer/token-text.ts";
import type { SpecialToken, Tokenizer } from "../../tokenizer/tokenizer.ts";
import { formatCount } from "../display/texts/format.ts";
import { columns, padRight, wrapText } from "../display/texts/width.ts";
import { printableName, type Style } from "../process/terminal.ts";

/** One token of a text. */
interface ShownToken {
  readonly id: number;
  readonly text: string;
  readonly bytes: readonly number[];
}

/** Tokens of a text, and their average sizes. */
export interface Inspection {
  readonly tokens: readonly ShownToken[];
  readonly count: number;
  readonly characters: number;
  readonly bytes: number;
  readonly charactersPerToken: number;
  readonly bytesPerToken: number;
}

/** Maximum number of tokens shown. */
const mostShown = 2000;

/** Maximum number of tokens in JSON output. */
const mostListed = 1_000_000;

/**
 * Encodes a text and measures its tokens.
 * @param all whether to return all tokens. If false, only the shown tokens are returned.
 * @throws DataError for unknown characters, or for too many tokens to return all.
 */
export const inspectText = (tokenizer: Tokenizer, text: string, where: string, all = false): Inspection => {
  const ids = tokenizer.encode(text, where);
  const { length: count } = ids;
  if (all && count > mostListed) {
    const must = `must have at most ${mostListed} tokens, because all tokens are listed`;
    throw new DataError({ where, must, got: String(count), hint: "a part of the text, or leaving out --json" });
  }
  const tokens = Array.from(ids.subarray(0, all ? count : mostShown), (id): ShownToken => {
    return { id, text: tokenizer.token(id), bytes: [...tokenizer.bytes(id)] };
  });
  let [bytes, characters] = [0, 0];
  for (const id of ids) {
    const own = tokenizer.bytes(id);
    bytes += own.length;
    characters += charactersBegun(own);
  }
  const perToken = (amount: number): number => (count === 0 ? 0 : +(amount / count).toFixed(3));
  return {
    ...{ tokens, count, characters, bytes },
    charactersPerToken: perToken(characters),
    bytesPerToken: perToken(bytes),
  };
};

/** Shows a token in one line. */
const tokenText = ({ text, bytes }: ShownToken, { symbols }: Style): string =>
  printableName(textAlone(text, Uint8Array.from(bytes)), symbols.unicode);

/**
 * Shows tokens in rows of at most `width` columns. Without colours, a rule separates two tokens. With colours, the
 * backgrounds alternate. A row ends after a token with a line end.
 */
export const tokenRows = (tokens: readonly ShownToken[], width: number, style: Style): readonly string[] => {
  const { rule } = style.symbols;
  const { bgBlue, bgMagenta, white } = style.colors;
  const rows: string[] = [];
  let row = "";
  let used = 0;
  for (const [i, token] of tokens.slice(0, mostShown).entries()) {
    const shown = tokenText(token, style);
    const taken = columns(shown) + columns(rule);
    if (used > 0 && used + taken > width) {
      rows.push(row);
      [row, used] = ["", 0];
    }
    row += white((i % 2 === 0 ? bgBlue : bgMagenta)(shown)) + rule;
    used += taken;
    if (!token.text.endsWith("\n")) continue;
    rows.push(row);
    [row, used] = ["", 0];
  }
  return used > 0 ? [...rows, row] : rows;
};

/** Formats an inspection for people. */
export const inspectionText = (inspection: Inspection, width: number, style: Style): string => {
  const { tokens, count, characters, bytes, charactersPerToken, bytesPerToken } = inspection;
  const more = count > mostShown ? [`${style.symbols.ellipsis} and ${formatCount(count - mostShown)} more tokens`] : [];
  const ids = tokens.slice(0, mostShown).map(({ id }) => id);
  const figures: readonly (readonly [string, string])[] = [
    ["tokens", formatCount(count)],
    ["characters", `${formatCount(characters)}, ${charactersPerToken.toFixed(2)} per token`],
    ["bytes", `${formatCount(bytes)}, ${bytesPerToken.toFixed(2)} per token`],
  ];
  return [
    ...tokenRows(tokens, width, style),
    ...more,
    ...(ids.length > 0 ? ["", ...wrapText(`ids: ${ids.join(" ")}`, width), ""] : []),
    ...figures.map(([label, value]) => padRight(label, 12) + value),
    "",
  ].join("\n");
};

/** Facts about a tokenizer. */
export const tokenizerFacts = (tokenizer: Tokenizer) => ({
  kind: tokenizer.kind,
  vocabSize: tokenizer.vocabSize,
  ...("pattern" in tokenizer ? { pattern: tokenizer.pattern } : {}),
  ...("mergeCount" in tokenizer ? { merges: tokenizer.mergeCount } : {}),
  specialTokens: tokenizer.specialTokens,
  endOfText: tokenizer.endOfText,
  ...(beginOf(tokenizer) === undefined ? {} : { beginOfText: tokenizer.beginOfText }),
});

/** Maximum number of special tokens shown to people (Llama 3 has 256). */
const mostSpecial = 8;

const specialText = (specialTokens: readonly SpecialToken[]): string => {
  const names = specialTokens.slice(0, mostSpecial).map(({ id, name }) => `${printableName(name)} (${id})`);
  const more = specialTokens.length - names.length;
  return [...names, ...(more > 0 ? [`${formatCount(more)} more`] : [])].join(", ") || "none";
};

/** Formats facts about a tokenizer for people. */
export const tokenizerText = (tokenizer: Tokenizer, width: number): string => {
  const { kind, vocabSize, pattern, merges, specialTokens } = {
    pattern: undefined,
    merges: undefined,
    ...tokenizerFacts(tokenizer),
  };
  const begin = beginOf(tokenizer);
  const rows: readonly (readonly [string, string | undefined])[] = [
    ["kind", kind],
    ["tokens", formatCount(vocabSize)],
    ["merges", typeof merges === "number" ? formatCount(merges) : undefined],
    ["pattern", typeof pattern === "string" ? pattern : undefined],
    ["special", specialText(specialTokens)],
    ["begins with", begin === undefined ? undefined : specialText(specialTokens.filter(({ id }) => id === begin))],
  ];
  return rows
    .flatMap(([label, value]) => (value === undefined ? [] : wrapText(padRight(label, 12) + value, width)))
    .map((line) => `${line}\n`)
    .join("");
};
