/** Writes a SentencePiece tokenizer as a `tokenizer.json`, in the format of Hugging Face's `tokenizers` library. */
import { beginJson } from "../begin.ts";
import type { MergeRule } from "../bpe/parts.ts";
import { isFound, kinds, type SentencePieceParts } from "./parts.ts";
import { spaceSign } from "./space-sign.ts";
import type { TextStep } from "./steps.ts";

const matching = { single_word: false, lstrip: false, rstrip: false, normalized: false } as const;

/** Encodes bytes in base 64. */
const base64 = (bytes: Uint8Array): string => {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
};

const normalizerOf = (step: TextStep): readonly unknown[] => {
  switch (step.kind) {
    case "precompiled":
      return [{ type: "Precompiled", precompiled_charsmap: base64(step.charsmap.bytes) }];
    case "unicode":
      return [{ type: step.form }];
    case "replace":
      return [{ type: "Replace", pattern: { String: step.from }, content: step.to }];
    case "collapse":
      return [{ type: "Replace", pattern: { Regex: " {2,}" }, content: step.to }];
    case "strip":
      return [{ type: "Strip", strip_left: step.left, strip_right: step.right }];
    case "prepend":
      return [{ type: "Prepend", prepend: step.text }];
    case "metaspace":
      return [];
    default:
      return step satisfies never;
  }
};

/**
 * Converts scores to a list of merges. The tokens are visited in descending order of scores. For each token, all pairs
 * of tokens that form it are added to the list. `transformers` makes the same list from a SentencePiece model.
 */
export const mergesOfScores = (
  { tokens, kinds: kindOf }: Pick<SentencePieceParts, "tokens" | "kinds">,
  scores: ArrayLike<number>,
): readonly MergeRule[] => {
  const ids = new Map<string, number>();
  for (const [id, token] of tokens.entries()) if (isFound(kindOf[id]) && !ids.has(token)) ids.set(token, id);
  const inOrder = Int32Array.from(ids.values()).sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  const merges: MergeRule[] = [];
  for (const id of inOrder) {
    const token = tokens[id] as string;
    const pairs: { readonly left: number; readonly right: number; readonly rule: readonly [string, string] }[] = [];
    for (let at = 1; at < token.length; at++) {
      const [before, after] = [token.slice(0, at), token.slice(at)];
      const [left, right] = [ids.get(before), ids.get(after)];
      if (left !== undefined && right !== undefined) pairs.push({ left, right, rule: [before, after] });
    }
    pairs.sort((a, b) => a.left - b.left || a.right - b.right);
    for (const { rule } of pairs) merges.push(rule);
  }
  return merges;
};

const modelOf = ({ division, tokens, kinds: kindOf, joinsUnknown }: SentencePieceParts): unknown => {
  const kindList = Array.from(kindOf);
  const unknown = kindList.indexOf(kinds.unknown);
  const byteFallback = kindList.includes(kinds.byte);
  if (division.kind === "unigram") {
    const { scores } = division;
    const vocab = tokens.map((token, id) => [token === "" ? `[PAD${id}]` : token, scores[id]]);
    return { type: "Unigram", unk_id: unknown === -1 ? null : unknown, vocab, byte_fallback: byteFallback };
  }
  return {
    type: "BPE",
    dropout: null,
    unk_token: tokens[unknown] ?? null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: joinsUnknown,
    byte_fallback: byteFallback,
    ignore_merges: false,
    vocab: Object.fromEntries(tokens.flatMap((token, id) => (token === "" ? [] : [[token, id]]))),
    merges: division.kind === "merges" ? division.merges : mergesOfScores({ tokens, kinds: kindOf }, division.scores),
  };
};

/** Contents of `tokenizer.json`. */
export const sentencePieceToJson = (parts: SentencePieceParts): unknown => {
  const { tokens, kinds: kindOf, steps, splitsWords, dropsFirstSpace, beginOfText } = parts;
  const added = tokens.flatMap((content, id) => {
    const kind = kindOf[id];
    const special = kind === kinds.control || kind === kinds.unknown;
    return special || kind === kinds.userDefined ? [{ id, content, ...matching, special }] : [];
  });
  const metaspace = steps.find((step) => step.kind === "metaspace");
  const decoders = [
    { type: "Replace", pattern: { String: spaceSign }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
    ...(dropsFirstSpace ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
  ];
  const normalizers = steps.flatMap(normalizerOf);
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: normalizers.length === 0 ? null : { type: "Sequence", normalizers },
    pre_tokenizer:
      metaspace === undefined
        ? null
        : { type: "Metaspace", replacement: spaceSign, prepend_scheme: metaspace.prefix, split: splitsWords },
    post_processor: beginJson(
      beginOfText === null ? undefined : { id: beginOfText, name: tokens[beginOfText] as string },
    ),
    decoder: { type: "Sequence", decoders },
    model: modelOf(parts),
  };
};
