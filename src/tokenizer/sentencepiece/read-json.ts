/** Reads the `tokenizer.json` of a SentencePiece tokenizer, if Foretoken's own encoder supports it. */
import { isRecord } from "../../core/checks/is-record.ts";
import { CheckpointError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import { beginOfJson } from "../begin.ts";
import { addedOf, checkMerges, isExact, tokensOf } from "../bpe/read-json.ts";
import { tokenBytesRule } from "../token-bytes.ts";
import type { SpecialToken } from "../tokenizer.ts";
import { endOfTextName } from "../tokenizer-json.ts";
import { charsmapOf } from "./charsmap.ts";
import { byteOf, type Division, kinds, type SentencePieceParts } from "./parts.ts";
import { spaceSign } from "./space-sign.ts";
import type { TextStep } from "./steps.ts";

type Json = Readonly<Record<string, unknown>>;

/** The items of a sequence, or a single item as a list. */
const itemsOf = (json: unknown, name: string): readonly unknown[] => {
  if (json === null || json === undefined) return [];
  if (!isRecord(json) || json.type !== "Sequence") return [json];
  const items = json[name];
  return Array.isArray(items) ? items.flatMap((item) => itemsOf(item, name)) : [undefined];
};

const fromBase64 = (text: string): Uint8Array | undefined => {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
};

const replaceStep = ({ pattern, content }: Json): TextStep | undefined => {
  if (!isRecord(pattern) || typeof content !== "string") return undefined;
  if (typeof pattern.String === "string" && pattern.String !== "") {
    return { kind: "replace", from: pattern.String, to: content };
  }
  return pattern.Regex === " {2,}" ? { kind: "collapse", to: content } : undefined;
};

/** Converts a normalizer to a step. Undefined if the normalizer is not supported. */
const stepOf = (normalizer: unknown, where: string): TextStep | undefined => {
  if (!isRecord(normalizer)) return undefined;
  const { type } = normalizer;
  switch (type) {
    case "Replace":
      return replaceStep(normalizer);
    case "Prepend":
      return typeof normalizer.prepend === "string" ? { kind: "prepend", text: normalizer.prepend } : undefined;
    case "Strip":
      return { kind: "strip", left: normalizer.strip_left === true, right: normalizer.strip_right === true };
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return { kind: "unicode", form: type };
    case "Precompiled": {
      const text = normalizer.precompiled_charsmap;
      const bytes = typeof text === "string" ? fromBase64(text) : undefined;
      const charsmap = bytes === undefined ? undefined : charsmapOf(bytes, where);
      return charsmap === undefined ? undefined : { kind: "precompiled", charsmap };
    }
    default:
      return undefined;
  }
};

/** How a text is cut into parts before encoding. */
interface PreTokenizer {
  readonly steps: readonly TextStep[];
  readonly splitsWords: boolean;
}

const prefixOf = ({ prepend_scheme: scheme, add_prefix_space: legacy }: Json): "always" | "first" | "never" =>
  scheme === "first" || scheme === "never" ? scheme : scheme === undefined && legacy === false ? "never" : "always";

/** @param steps steps of the normalizer. @returns undefined if the pre-tokenizer is not supported. */
const preTokenizerOf = (json: unknown, steps: readonly TextStep[]): PreTokenizer | undefined => {
  if (json === null || json === undefined) return { steps: [], splitsWords: false };
  if (!isRecord(json)) return undefined;
  if (json.type === "Metaspace" && json.replacement === spaceSign) {
    return { steps: [{ kind: "metaspace", prefix: prefixOf(json) }], splitsWords: json.split !== false };
  }
  // Gemma's pre-tokenizer splits at spaces. In a normalized text it finds no spaces, because the normalizer has
  // replaced all spaces.
  const hasNoSpaces = steps.some((step) => step.kind === "replace" && step.from === " " && !step.to.includes(" "));
  const atSpaces = json.type === "Split" && isRecord(json.pattern) && json.pattern.String === " ";
  return atSpaces && hasNoSpaces && json.invert !== true ? { steps: [], splitsWords: false } : undefined;
};

/** Whether a decoder converts `▁` to spaces and has no steps that are not supported. */
const isKnownDecoder = (json: unknown): boolean => {
  const steps = itemsOf(json, "decoders");
  const known = steps.every((step) => {
    if (!isRecord(step)) return false;
    if (step.type === "Strip") return step.content === " " && Number(step.start) <= 1 && Number(step.stop) === 0;
    return ["Replace", "Metaspace", "ByteFallback", "Fuse"].includes(String(step.type));
  });
  return known && new TextDecoder().decode(tokenBytesRule(json).bytesOf(spaceSign)) === " ";
};

const foreignFields = ["continuing_subword_prefix", "end_of_word_suffix", "dropout", "ignore_merges"];

const isKnownModel = (model: unknown): boolean => {
  if (!isRecord(model)) return false;
  if (model.type === "Unigram") return Array.isArray(model.vocab);
  return (model.type ?? "BPE") === "BPE" && "merges" in model && foreignFields.every((field) => !model[field]);
};

interface Reading {
  readonly steps: readonly TextStep[];
  readonly splitsWords: boolean;
}

/** The normalization steps of a file. Undefined if a step is not supported. */
const readingOf = (json: Json, where: string): Reading | undefined => {
  const steps = itemsOf(json.normalizer, "normalizers").map((one) => stepOf(one, where));
  if (steps.some((step) => step === undefined)) return undefined;
  const known = steps as readonly TextStep[];
  const cut = preTokenizerOf(json.pre_tokenizer, known);
  return cut === undefined ? undefined : { steps: [...known, ...cut.steps], splitsWords: cut.splitsWords };
};

/** Whether Foretoken's encoder gives the same ids as the `tokenizers` library. */
export const isSentencePieceJson = (json: unknown): boolean => {
  if (!isRecord(json) || !isKnownModel(json.model) || !isKnownDecoder(json.decoder)) return false;
  const added = json.added_tokens ?? [];
  if (!Array.isArray(added)) return false;
  if (!added.every((one) => !isRecord(one) || one.special === true || isExact(one, true))) return false;
  // If a `Precompiled` table is damaged, the error is thrown later, when the file is read.
  return itemsOf(json.normalizer, "normalizers").every(isKnownNormalizer) && hasKnownCut(json);
};

const isKnownNormalizer = (one: unknown): boolean =>
  isRecord(one) && (one.type === "Precompiled" || stepOf(one, "tokenizer") !== undefined);

const hasKnownCut = (json: Json): boolean => {
  const steps = itemsOf(json.normalizer, "normalizers").flatMap((one) =>
    isRecord(one) && one.type !== "Precompiled" ? [stepOf(one, "tokenizer")] : [],
  );
  return (
    preTokenizerOf(
      json.pre_tokenizer,
      steps.filter((step) => step !== undefined),
    ) !== undefined
  );
};

const fail = (where: string, must: string, got: unknown): never => {
  throw new CheckpointError({ where, must, got: show(got) });
};

/** Tokens and scores of Unigram. @throws CheckpointError for an entry that is not a pair of a string and a number. */
const unigramOf = (vocab: readonly unknown[], where: string) => {
  const tokens: string[] = [];
  const scores = new Float64Array(vocab.length);
  for (const [id, entry] of vocab.entries()) {
    const [token, score] = Array.isArray(entry) ? (entry as readonly unknown[]) : [];
    if (typeof token !== "string" || typeof score !== "number") {
      return fail(where, `model.vocab.${id} must be a token with its score`, entry);
    }
    tokens.push(token);
    scores[id] = score;
  }
  return { tokens, scores };
};

/**
 * All tokens with their kinds, including added tokens. @throws CheckpointError for an added token with the id of
 * another token.
 */
const withAdded = (
  vocabulary: readonly string[],
  added: { readonly specialTokens: readonly SpecialToken[]; readonly namedTokens: readonly SpecialToken[] },
  unknown: string | undefined,
  hasBytes: boolean,
  where: string,
) => {
  const tokens = [...vocabulary];
  const special = [...added.specialTokens, ...added.namedTokens];
  for (const { id, name } of special) {
    if (!Number.isInteger(id) || id < 0 || id >= 2 * (vocabulary.length + special.length)) {
      fail(where, `added_tokens: the id of ${show(name)} must follow the vocabulary's ids`, id);
    }
    while (tokens.length <= id) tokens.push("");
    if (tokens[id] !== "" && tokens[id] !== name) fail(where, `token ${id} must be ${show(tokens[id])}`, name);
    tokens[id] = name;
  }
  const kindOf = Uint8Array.from(tokens, (token) =>
    hasBytes && byteOf(token) !== undefined ? kinds.byte : token === "" ? kinds.unused : kinds.normal,
  );
  for (const { id } of added.namedTokens) kindOf[id] = kinds.userDefined;
  for (const { id } of added.specialTokens) kindOf[id] = kinds.control;
  const unknownId = unknown === undefined ? -1 : tokens.indexOf(unknown);
  if (unknownId !== -1) kindOf[unknownId] = kinds.unknown;
  return { tokens, kinds: kindOf };
};

/** Pads scores with 0 for added tokens. */
const padded = (scores: Float64Array, count: number): Float64Array => {
  const all = new Float64Array(count);
  all.set(scores);
  return all;
};

/** Parts of a tokenizer that `isSentencePieceJson` accepts. @throws CheckpointError naming the damaged field. */
export const sentencePiecePartsOf = (json: unknown, where: string): SentencePieceParts => {
  const file = json as Json;
  const model = file.model as Json;
  const reading = readingOf(file, where);
  if (reading === undefined) return fail(where, "normalizer must have a precompiled_charsmap", file.normalizer);
  const added = addedOf(file.added_tokens, where);
  const hasBytes = model.byte_fallback === true;
  const read = (vocabulary: readonly string[], unknown: unknown) =>
    withAdded(vocabulary, added, typeof unknown === "string" ? unknown : undefined, hasBytes, where);
  let division: Division;
  let vocabulary: ReturnType<typeof withAdded>;
  if (model.type === "Unigram") {
    const { tokens, scores } = unigramOf(model.vocab as readonly unknown[], where);
    vocabulary = read(tokens, tokens[model.unk_id as number]);
    division = { kind: "unigram", scores: padded(scores, vocabulary.tokens.length) };
  } else {
    vocabulary = read(tokensOf(model.vocab, where), model.unk_token);
    division = { kind: "merges", merges: checkMerges(model.merges, where) };
  }
  return {
    division,
    ...vocabulary,
    ...reading,
    joinsUnknown: model.type === "Unigram" || model.fuse_unk === true,
    dropsFirstSpace: tokenBytesRule(file.decoder).dropsFirstSpace,
    endOfText: added.specialTokens.find(({ name }) => name === endOfTextName)?.id ?? null,
    beginOfText: beginOfJson(json, added.specialTokens),
  };
};
