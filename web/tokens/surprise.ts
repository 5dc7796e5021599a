/** How much a token surprised the model, in six steps that differ in shade, underline and number. */

export interface SurpriseLevel {
  readonly level: number;
  /** Probabilities from this on. */
  readonly from: number;
  readonly label: string;
  /** The same for a narrow cell. */
  readonly brief?: string;
}

export const surpriseLevels: readonly SurpriseLevel[] = [
  { level: 0, from: 0.9, label: "over 90 %", brief: "> 90 %" },
  { level: 1, from: 0.5, label: "50–90 %" },
  { level: 2, from: 0.2, label: "20–50 %" },
  { level: 3, from: 0.05, label: "5–20 %" },
  { level: 4, from: 0.01, label: "1–5 %" },
  { level: 5, from: 0, label: "under 1 %", brief: "< 1 %" },
];

export const levelOf = (probability: number): number =>
  surpriseLevels.find(({ from }) => probability >= from)?.level ?? surpriseLevels.length - 1;

/** In bits: −log₂ p. */
export const surprisal = (probability: number): number => -Math.log2(probability);

/** As "U+3000". */
const numberOf = (character: string): string =>
  `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;

/** Spaces wherever they are; signs without a look only where there is nothing else, since letters are joined by some of them. */
const unseen = /\p{Z}+|^[\p{Cc}\p{Cf}]+$/gu;

/** A token's text where it must be seen whole: white space by signs, and what is as empty by its number in Unicode. */
export const visible = (text: string): string =>
  text
    .replaceAll("\r", "␍")
    .replaceAll("\n", "↵")
    .replaceAll("\t", "⇥")
    .replaceAll(" ", "␣")
    .replaceAll("\u00a0", "⍽")
    .replace(unseen, (all) => [...all].map(numberOf).join(" "));
