import type { Span, Text } from "../../lesson/piece.ts";
import { breakLines, graphemesOf, graphemeWidth } from "../display/texts/width.ts";
import { printable, type Style } from "../process/terminal.ts";

/** A character as a reader sees it, and its emphasis. */
interface Glyph {
  readonly character: string;
  readonly emphasis: Span["emphasis"];
}

/** ASCII replacements for the symbols of lessons, for terminals without Unicode. */
const inAscii: Readonly<Record<string, string>> = {
  "−": "-",
  "–": "-",
  "…": "...",
  "→": "->",
  "←": "<-",
  "·": "-",
  "×": "x",
  "≈": "~",
  "≤": "<=",
  "≥": ">=",
  Σ: "sum",
  "↵": "\\n",
  "⇥": "\\t",
  "␣": "_",
  "▲": "^",
  "✓": "*",
  "“": '"',
  "”": '"',
  "‘": "'",
  "’": "'",
};

const inPlace = (text: string, { symbols }: Style): string =>
  symbols.unicode
    ? printable(text)
    : [...printable(text, false)]
        .map((character) => (character <= "\u007f" ? character : (inAscii[character] ?? "?")))
        .join("");

const glyphsOf = (text: Text, style: Style): Glyph[] =>
  (typeof text === "string" ? [{ text }] : text).flatMap(({ text: part, emphasis }: Span) =>
    graphemesOf(inPlace(part, style).replaceAll("\t", " ")).map((character) => ({ character, emphasis })),
  );

const painterOf = ({ colors }: Style): Readonly<Record<NonNullable<Span["emphasis"]>, (text: string) => string>> => ({
  strong: colors.bold,
  good: colors.green,
  bad: colors.red,
  muted: colors.dim,
});

const paint = (glyphs: readonly Glyph[], style: Style): string => {
  const painters = painterOf(style);
  let painted = "";
  for (let from = 0; from < glyphs.length; ) {
    const emphasis = glyphs[from]?.emphasis;
    let end = from;
    let run = "";
    for (; end < glyphs.length && glyphs[end]?.emphasis === emphasis; end++) run += glyphs[end]?.character;
    painted += emphasis === undefined ? run : painters[emphasis](run);
    from = end;
  }
  return painted;
};

const widthOfGlyphs = (glyphs: readonly Glyph[]): number =>
  glyphs.reduce((sum, { character }) => sum + graphemeWidth(character), 0);

/** The longest prefix of `glyphs` that fits into `width` columns. */
const cut = (glyphs: readonly Glyph[], width: number): readonly Glyph[] => {
  let used = 0;
  const end = glyphs.findIndex(({ character }) => {
    used += graphemeWidth(character);
    return used > width;
  });
  return end === -1 ? glyphs : glyphs.slice(0, end);
};

/** Maximum number of glyphs of a cut word to drop, so that the line does not end with half a word. */
const longestCutWord = 12;

/** The longest prefix of `glyphs` that fits into `width` columns. If possible, it does not end with half a word. */
const cutAtWord = (glyphs: readonly Glyph[], width: number): readonly Glyph[] => {
  const kept = cut(glyphs, width);
  if (kept.length === glyphs.length || glyphs[kept.length]?.character === " ") return kept;
  const space = kept.findLastIndex(({ character }) => character === " ");
  return space > 0 && kept.length - space <= longestCutWord ? kept.slice(0, space + 1) : kept;
};

/** Columns of `text`. */
export const widthOf = (text: Text, style: Style): number => widthOfGlyphs(glyphsOf(text, style));

/** Columns of the widest word of `text`. A narrower line would break this word. */
export const widestWord = (text: Text, style: Style): number => {
  let widest = 0;
  let word = 0;
  for (const { character } of glyphsOf(text, style)) {
    word = character === " " || character === "\n" ? 0 : word + graphemeWidth(character);
    widest = Math.max(widest, word);
  }
  return widest;
};

/** Fits `text` into one line of exactly `width` columns. A text that is too long ends with an ellipsis. */
export const fitText = (text: Text, width: number, align: "left" | "right", style: Style): string => {
  const whole = glyphsOf(text, style);
  const dots = glyphsOf("…", style);
  const shown =
    widthOfGlyphs(whole) <= width
      ? whole
      : cut([...cutAtWord(whole, Math.max(0, width - widthOfGlyphs(dots))), ...dots], width);
  const space = " ".repeat(width - widthOfGlyphs(shown));
  return align === "left" ? paint(shown, style) + space : space + paint(shown, style);
};

/** Wraps `text` to lines of at most `width` columns. The line ends in `text` are kept. */
export const wrapped = (text: Text, width: number, style: Style): string[] => {
  const lines: Glyph[][] = [[]];
  for (const glyph of glyphsOf(text, style)) {
    if (glyph.character === "\n" || glyph.character === "\r\n") lines.push([]);
    else lines.at(-1)?.push(glyph);
  }
  return lines
    .flatMap((line) =>
      breakLines(line, Math.max(1, width), ({ character }) => character).map((ends) => line.slice(...ends)),
    )
    .map((line) => paint(line, style));
};
