/**
 * Runs other kinds of tokenizers (WordPiece, other split patterns and normalizers) with `@huggingface/tokenizers`. This
 * library is loaded only when a file needs it.
 */
import type { Tokenizer as Library } from "@huggingface/tokenizers";
import { checkText } from "../core/checks/check-arguments.ts";
import { isRecord } from "../core/checks/is-record.ts";
import { CheckpointError, DataError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import { beginOfJson } from "./begin.ts";
import { mostTokens } from "./bpe/vocabulary.ts";
import { decodeTokens } from "./text-stream.ts";
import { type TokenBytesRule, tokenBytesRule } from "./token-bytes.ts";
import type { SpecialToken, Tokenizer } from "./tokenizer.ts";
import { endOfTextName } from "./tokenizer-json.ts";
import { checkWellFormed } from "./well-formed.ts";

/** Special tokens of a `tokenizer.json`. */
const specialTokensOf = (json: Record<string, unknown>): readonly SpecialToken[] => {
  const added = Array.isArray(json.added_tokens) ? json.added_tokens : [];
  const special: SpecialToken[] = [];
  for (const token of added) {
    if (!isRecord(token) || token.special !== true) continue;
    if (typeof token.id === "number" && typeof token.content === "string") {
      special.push({ id: token.id, name: token.content });
    }
  }
  return special.sort((a, b) => a.id - b.id);
};

/**
 * The file without its special tokens. `encode` treats the names of special tokens as ordinary text, so the library
 * must not know these tokens.
 */
const withoutSpecial = (json: Record<string, unknown>): Record<string, unknown> => ({
  ...json,
  added_tokens: Array.isArray(json.added_tokens)
    ? json.added_tokens.filter((token) => !isRecord(token) || token.special !== true)
    : [],
});

/**
 * All ids in a file's vocabulary and added tokens. The ids must be checked, because the largest id determines the
 * length of a list that the library allocates.
 */
const idsIn = (json: Record<string, unknown>): readonly unknown[] => {
  const vocab = isRecord(json.model) ? json.model.vocab : undefined;
  const added = Array.isArray(json.added_tokens) ? json.added_tokens : [];
  return [
    ...(isRecord(vocab) ? Object.values(vocab) : []),
    ...added.map((token) => (isRecord(token) ? token.id : undefined)),
  ];
};

/** @throws CheckpointError for an id that is negative, not an integer, or far above the number of tokens. */
const checkIds = (json: Record<string, unknown>, where: string): void => {
  const ids = idsIn(json);
  const vocab = isRecord(json.model) && Array.isArray(json.model.vocab) ? json.model.vocab.length : 0;
  const most = Math.min(mostTokens, 2 * (ids.length + vocab));
  const wrong = ids.findIndex((id) => typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= most);
  if (wrong === -1) return;
  const must = "ids must be whole numbers from 0 to at most twice the number of tokens";
  throw new CheckpointError({ where, must, got: show(ids[wrong]) });
};

interface Vocabulary {
  readonly tokens: readonly string[];
  readonly library: Library;
}

/** @throws CheckpointError for a file that the library cannot read. */
const openLibrary = async (
  json: Record<string, unknown>,
  special: readonly SpecialToken[],
  where: string,
): Promise<Vocabulary> => {
  const { Tokenizer: LibraryTokenizer } = await import("@huggingface/tokenizers");
  let library: Library;
  let vocab: ReadonlyMap<string, number>;
  try {
    library = new LibraryTokenizer(withoutSpecial(json), {});
    vocab = library.get_vocab(true);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    const must = "@huggingface/tokenizers must be able to read the tokenizer";
    throw new CheckpointError({ where, must, got, cause });
  }
  const tokens: string[] = [];
  const most = 2 * (vocab.size + special.length);
  for (const [token, id] of [...vocab, ...special.map(({ name, id }) => [name, id] as const)]) {
    if (!Number.isInteger(id) || id < 0 || id >= mostTokens || id >= most) {
      const must = "ids must be whole numbers from 0 to at most twice the number of tokens";
      throw new CheckpointError({ where, must, got: `${show(token)}: ${show(id)}` });
    }
    tokens[id] = token;
  }
  if (tokens.length === 0) throw new CheckpointError({ where, must: "the vocabulary must not be empty" });
  return { tokens, library };
};

/** Ids of a text. @throws DataError for a text that the library cannot encode. */
const encodeBy = ({ library, tokens }: Vocabulary, text: string, where: string): Int32Array => {
  let ids: readonly unknown[];
  try {
    ids = text === "" ? [] : library.encode(text, { add_special_tokens: false }).ids;
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new DataError({ where, must: "the tokenizer must be able to encode the text", got, cause });
  }
  const wrong = ids.find((id) => typeof id !== "number" || tokens[id] === undefined);
  if (wrong !== undefined || ids.includes(undefined)) {
    throw new DataError({ where, must: "every part of the text must have a token", got: "a part without a token" });
  }
  return Int32Array.from(ids as readonly number[]);
};

/** @throws CheckpointError for a file that the library cannot read. */
export const huggingFaceTokenizer = async (json: unknown, where: string): Promise<Tokenizer> => {
  if (!isRecord(json) || !isRecord(json.model)) {
    throw new CheckpointError({ where, must: "the tokenizer must have a model", got: show(json) });
  }
  checkIds(json, where);
  const specialTokens = specialTokensOf(json);
  const vocabulary = await openLibrary(json, specialTokens, where);
  const { tokens } = vocabulary;
  const nameById = new Map(specialTokens.map(({ id, name }) => [id, name]));
  const rule: TokenBytesRule = tokenBytesRule(json.decoder);
  const bytesById = new Array<Uint8Array | undefined>(tokens.length).fill(undefined);

  const checkId = (id: number): void => {
    if (Number.isInteger(id) && id >= 0 && id < tokens.length) return;
    const must = `a token id must be an integer from 0 to ${tokens.length - 1}`;
    throw new DataError({ where: "decode", must, got: show(id) });
  };
  const bytes = (id: number): Uint8Array => {
    checkId(id);
    const made = bytesById[id] ?? (nameById.has(id) ? new Uint8Array() : rule.bytesOf(tokens[id] ?? ""));
    bytesById[id] = made;
    return made;
  };

  return {
    kind: "hugging-face",
    vocabSize: tokens.length,
    specialTokens,
    endOfText: specialTokens.find(({ name }) => name === endOfTextName)?.id ?? null,
    beginOfText: beginOfJson(json, specialTokens),
    encode: (text, name = "text", before = "") => {
      checkText("encode: where", name);
      checkText("encode: before", before);
      checkText(name, text);
      checkWellFormed(name, text, before);
      return encodeBy(vocabulary, text, name);
    },
    decode: (ids, options) => {
      const text = decodeTokens({ bytes, specialTokens }, ids, options);
      // Removes the space that such tokenizers add before a text.
      return rule.dropsFirstSpace && text.startsWith(" ") ? text.slice(1) : text;
    },
    bytes,
    token: (id) => {
      checkId(id);
      return nameById.get(id) ?? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes(id));
    },
    toJSON: () => json,
  };
};
