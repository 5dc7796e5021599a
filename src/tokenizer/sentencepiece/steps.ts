/** Normalization steps that a SentencePiece tokenizer applies to a text before it looks up tokens. */
import { type Charsmap, mapCharacters } from "./charsmap.ts";
import { spaceSign } from "./space-sign.ts";

/** A normalization step, named as in a `tokenizer.json`. */
export type TextStep =
  /** Replaces characters by a table of SentencePiece, for example the table for NFKC. */
  | { readonly kind: "precompiled"; readonly charsmap: Charsmap }
  | { readonly kind: "unicode"; readonly form: "NFC" | "NFD" | "NFKC" | "NFKD" }
  | { readonly kind: "replace"; readonly from: string; readonly to: string }
  /** Replaces two or more spaces by `to`. */
  | { readonly kind: "collapse"; readonly to: string }
  /** Removes white space at the left or right end. */
  | { readonly kind: "strip"; readonly left: boolean; readonly right: boolean }
  /** Puts `text` before a part of a text, unless the part is empty or follows other text directly. */
  | { readonly kind: "prepend"; readonly text: string }
  /**
   * Replaces spaces by `▁`. The step may also put one `▁` before a part that does not begin with `▁`. `prefix` decides
   * where. `always` means at the beginning of the text and after a token that was found by its name. `first` means only
   * at the beginning of the text, and `never` means nowhere.
   */
  | { readonly kind: "metaspace"; readonly prefix: "always" | "first" | "never" };

const stripped = (text: string, left: boolean, right: boolean): string => {
  const begun = left ? text.replace(/^\p{White_Space}+/u, "") : text;
  return right ? begun.replace(/\p{White_Space}+$/u, "") : begun;
};

/**
 * Place of a part of a text. The part is at the beginning of the text, after a token that was found by its name, or
 * directly after other text.
 */
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

/** Applies all steps to a part of a text. */
export const prepared = (steps: readonly TextStep[], text: string, place: StretchPlace): string =>
  steps.reduce((so, step) => taken(so, step, place), text);

/**
 * Normalization steps that SentencePiece's options describe. @param charsmap table of the normalization rule; undefined
 * if the rule has no table.
 */
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
