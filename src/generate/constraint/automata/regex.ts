import type { CharSet } from "./char-set.ts";

/** A regular expression as a tree. */
export type Regex =
  | { readonly kind: "set"; readonly set: CharSet }
  | { readonly kind: "sequence"; readonly parts: readonly Regex[] }
  | { readonly kind: "either"; readonly options: readonly Regex[] }
  /** @property most null means no upper limit. */
  | { readonly kind: "repeat"; readonly part: Regex; readonly least: number; readonly most: number | null }
  /** `begin` matches before the first character. `end` matches after the last character. */
  | { readonly kind: "begin" }
  | { readonly kind: "end" };

export const sequence = (...parts: readonly Regex[]): Regex => ({ kind: "sequence", parts });
export const either = (...options: readonly Regex[]): Regex => ({ kind: "either", options });
export const repeat = (part: Regex, least: number, most: number | null): Regex => ({
  kind: "repeat",
  part,
  least,
  most,
});
export const oneOf = (set: CharSet): Regex => ({ kind: "set", set });

/** Matches exactly this text. */
export const literal = (text: string): Regex =>
  sequence(
    ...Array.from(text, (char) => {
      const code = char.codePointAt(0) ?? 0;
      return oneOf([code, code]);
    }),
  );
