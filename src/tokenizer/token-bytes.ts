/** Finds the bytes of a token. The decoder in a `tokenizer.json` determines them. */
import { isRecord } from "../core/checks/is-record.ts";
import { fromAlphabet } from "./bpe/byte-alphabet.ts";

export interface TokenBytesRule {
  bytesOf(token: string): Uint8Array;
  /** Whether decoding removes the first space of a text because the tokenizer has added this space. */
  readonly dropsFirstSpace: boolean;
}

type Decoder = Readonly<Record<string, unknown>>;

/** Steps of a decoder in one list. Nested sequences are flattened. */
const stepsOf = (decoder: unknown): readonly Decoder[] => {
  if (!isRecord(decoder)) return [];
  if (decoder.type !== "Sequence") return [decoder];
  return Array.isArray(decoder.decoders) ? decoder.decoders.flatMap((step) => stepsOf(step)) : [];
};

const textOr = (value: unknown, otherwise: string): string =>
  typeof value === "string" && value !== "" ? value : otherwise;

/** Text of a token after one step of the decoder. */
const decodeText = (text: string, step: Decoder): string => {
  switch (step.type) {
    case "Metaspace":
      return text.replaceAll(textOr(step.replacement, "▁"), " ");
    case "Replace": {
      const from = isRecord(step.pattern) ? step.pattern.String : undefined;
      return typeof from === "string" && from !== "" ? text.replaceAll(from, textOr(step.content, "")) : text;
    }
    case "WordPiece": {
      const prefix = textOr(step.prefix, "##");
      return text.startsWith(prefix) ? text.slice(prefix.length) : ` ${text}`;
    }
    case "BPEDecoder": {
      const suffix = textOr(step.suffix, "</w>");
      return text.endsWith(suffix) ? `${text.slice(0, -suffix.length)} ` : text;
    }
    default:
      return text;
  }
};

const addsFirstSpace = (step: Decoder): boolean =>
  (step.type === "Strip" && step.content === " " && Number(step.start) > 0) ||
  (step.type === "Metaspace" && step.prepend_scheme !== "never" && step.add_prefix_space !== false) ||
  step.type === "WordPiece";

/** @param decoder decoder of a `tokenizer.json`. */
export const tokenBytesRule = (decoder: unknown): TokenBytesRule => {
  const steps = stepsOf(decoder);
  const has = (type: string): boolean => steps.some((step) => step.type === type);
  const isByteLevel = has("ByteLevel");
  const hasByteTokens = has("ByteFallback");
  const encoder = new TextEncoder();
  return {
    dropsFirstSpace: steps.some(addsFirstSpace),
    bytesOf: (token) => {
      const byte = hasByteTokens ? /^<0x([0-9A-Fa-f]{2})>$/u.exec(token)?.[1] : undefined;
      if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
      const bytes = isByteLevel ? fromAlphabet(token) : undefined;
      return bytes ?? encoder.encode(steps.reduce(decodeText, token));
    },
  };
};
