/** What a SentencePiece tokenizer does to a text before it looks for tokens, step by step. */
import { type Charsmap, mapCharacters } from "./charsmap.ts";
import { spaceSign } from "./space-sign.ts";

/** A step. Steps are named as in a `tokenizer.json`. */
export type TextStep =
  /** Characters by SentencePiece's own table, such as NFKC's. */
  | { readonly kind: "precompiled"; readonly charsmap: Charsmap }
  | { readonly kind: "unicode"; readonly form: "NFC" | "NFD" | "NFKC" | "NFKD" }
  | { readonly kind: "replace"; readonly from: string; readonly to: string }
  /** Two or more spaces become `to`. */
  | { readonly kind: "collapse"; readonly to: string }
  /** White space at the ends is left out. */
  | { readonly kind: "strip"; readonly left: boolean; readonly right: boolean }
  /** `text` comes before the stretch of a text, unless that is empty. */
  | { readonly kind: "prepend"; readonly text: string }
  /** Spaces become `▁`, and one comes before the text unless it has one: before each stretch, or the first alone. */
  | { readonly kind: "metaspace"; readonly prefix: "always" | "first" | "never" };

const stripped = (text: string, left: boolean, right: boolean): string => {
  const begun = left ? text.replace(/^\p{White_Space}+/u, "") : text;
  return right ? begun.replace(/\p{White_Space}+$/u, "") : begun;
};

/** Where a stretch of a text stands: at its beginning, after a token that was found by its name, or after other text. */
export type StretchPlace = "first" | "afterToken" | "inside";

const taken = (text: string, step: TextStep, place: StretchPlace): string => {
  switch (step.kind) {
    case "precompiled":
      return mapCharacters(step.charsmap, text);
    case "unicode":
      return text.normalize(step.form);
    case "replace":
      return text.replaceAll(step.from, () => step.to);
    case "collapse":
      return text.replace(/ {2,}/gu, () => step.to);
    case "strip":
      return stripped(text, step.left, step.right);
    case "prepend":
      return text === "" || place === "inside" ? text : step.text + text;
    case "metaspace": {
      const signed = text.replaceAll(" ", spaceSign);
      const isPrefixed = step.prefix === "always" ? place !== "inside" : step.prefix === "first" && place === "first";
      return isPrefixed && signed !== "" && !signed.startsWith(spaceSign) ? spaceSign + signed : signed;
    }
    default:
      return step satisfies never;
  }
};

/** A stretch of a text as tokens are looked for in it. */
export const prepared = (steps: readonly TextStep[], text: string, place: StretchPlace): string =>
  steps.reduce((so, step) => taken(so, step, place), text);

/** The steps of SentencePiece's own switches. @param charsmap of its normalization rule; undefined: there is none. */
export const stepsOf = (
  addSpacePrefix: boolean,
  removeExtraWhitespaces: boolean,
  charsmap?: Charsmap,
): readonly TextStep[] => [
  ...(charsmap === undefined ? [] : [{ kind: "precompiled", charsmap } as const]),
  ...(removeExtraWhitespaces
    ? [{ kind: "strip", left: true, right: true } as const, { kind: "collapse", to: " " } as const]
    : []),
  ...(addSpacePrefix ? [{ kind: "prepend", text: spaceSign } as const] : []),
  { kind: "replace", from: " ", to: spaceSign },
];
