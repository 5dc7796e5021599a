import type { Span, Text } from "../../lesson/piece.ts";
import { printable, type Style } from "../terminal.ts";

/** A character and its look. */
interface Glyph {
  readonly character: string;
  readonly emphasis: Span["emphasis"];
}

/** ASCII characters for the signs of lessons, for terminals without Unicode. */
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
    [...inPlace(part, style)].map((character) => ({ character, emphasis })),
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

/** Lines of at most `width` glyphs, broken at spaces if there are any. */
const wrapGlyphs = (glyphs: readonly Glyph[], width: number): Glyph[][] => {
  const lines: Glyph[][] = [];
  let rest = [...glyphs];
  while (rest.length > width) {
    const space = rest.findLastIndex(({ character }, i) => character === " " && i <= width && i > 0);
    const cut = space > 0 ? space : width;
    lines.push(rest.slice(0, cut));
    rest = rest.slice(space > 0 ? cut + 1 : cut);
  }
  return [...lines, rest];
};

/** Columns that `text` takes. */
export const widthOf = (text: Text, style: Style): number => glyphsOf(text, style).length;

/** `text` in one line of exactly `width` columns; a longer text ends in an ellipsis. */
export const fitText = (text: Text, width: number, align: "left" | "right", style: Style): string => {
  const glyphs = glyphsOf(text, style);
  if (glyphs.length > width) {
    const dots = glyphsOf("…", style);
    return paint([...glyphs.slice(0, Math.max(0, width - dots.length)), ...dots].slice(0, width), style);
  }
  const space = " ".repeat(width - glyphs.length);
  return align === "left" ? paint(glyphs, style) + space : space + paint(glyphs, style);
};

/** `text` in lines of at most `width` columns; its own line ends are kept. */
export const wrapped = (text: Text, width: number, style: Style): string[] => {
  const lines: Glyph[][] = [[]];
  for (const glyph of glyphsOf(text, style)) {
    if (glyph.character === "\n") lines.push([]);
    else lines.at(-1)?.push(glyph.character === "\t" ? { ...glyph, character: " " } : glyph);
  }
  return lines.flatMap((line) => wrapGlyphs(line, Math.max(1, width))).map((line) => paint(line, style));
};
