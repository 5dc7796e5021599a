/** Surprise of a token: six levels that differ in shade, underline and number. */

export interface SurpriseLevel {
  readonly level: number;
  /** Minimum probability of the level. */
  readonly from: number;
  readonly label: string;
  /** Short label for a narrow cell. */
  readonly brief?: string;
}

export const surpriseLevels: readonly SurpriseLevel[] = [
  { level: 0, from: 0.9, label: "over 90\u00a0%", brief: "> 90\u00a0%" },
  { level: 1, from: 0.5, label: "50–90\u00a0%" },
  { level: 2, from: 0.2, label: "20–50\u00a0%" },
  { level: 3, from: 0.05, label: "5–20\u00a0%" },
  { level: 4, from: 0.01, label: "1–5\u00a0%" },
  { level: 5, from: 0, label: "under 1\u00a0%", brief: "< 1\u00a0%" },
];

export const levelOf = (probability: number): number =>
  surpriseLevels.find(({ from }) => probability >= from)?.level ?? surpriseLevels.length - 1;

/** Surprisal in bits: −log₂ p. */
export const surprisal = (probability: number): number => -Math.log2(probability);

/** As "U+3000". */
const numberOf = (character: string): string =>
  `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;

/**
 * Matches spaces anywhere in a token. Matches control and format characters only in tokens without other characters,
 * because some of them join letters.
 */
const unseen = /\p{Z}+|^[\p{Cc}\p{Cf}]+$/gu;

/**
 * Text of a token in visible characters. White space is shown as signs, and other invisible characters as code points.
 */
export const visible = (text: string): string =>
  text
    .replaceAll("\r", "␍")
    .replaceAll("\n", "↵")
    .replaceAll("\t", "⇥")
    .replaceAll(" ", "␣")
    .replaceAll("\u00a0", "⍽")
    .replace(unseen, (all) => [...all].map(numberOf).join(" "));
