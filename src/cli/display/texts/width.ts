/**
 * Columns of text on a terminal. Like POSIX's wcwidth, terminals count code points. East Asian wide and fullwidth
 * characters have two columns (Unicode Standard Annex 11). Marks that combine with the previous character have no
 * column. Some terminals also count two columns for an emoji of several code points.
 */

/** Escape codes that the program writes, such as colours. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape codes begin with one
const escapeCodes = /\u001b\[[0-9;?]*[A-Za-z]/gu;

/**
 * Ranges (first, last) of wide and fullwidth code points. Characters that are emoji by default are tested separately.
 */
const wideRanges: readonly (readonly [first: number, last: number])[] = [
  [0x1100, 0x115f],
  [0x2329, 0x232a],
  [0x2630, 0x2637],
  [0x268a, 0x268f],
  [0x2e80, 0x303e],
  [0x3041, 0x3247],
  [0x3250, 0xa4c6],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6b],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18dff],
  [0x1aff0, 0x1b2ff],
  [0x1d300, 0x1d376],
  [0x1f200, 0x1f265],
  [0x20000, 0x2fffd],
  [0x30000, 0x3fffd],
];

/** Characters of one column that never combine with others. Most texts have only such characters. */
const plain =
  /^[ -~\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2190-\u2311\u2500-\u25fc\u2800-\u28ff]*$/u;

const zeroWidth = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}\u2028\u2029\u1160-\u11ff\ud7b0-\ud7ff]$/u;
const emojiLook = /\p{Emoji_Presentation}|\ufe0f/u;

const isWide = (codePoint: number): boolean =>
  wideRanges.some(([first, last]) => codePoint >= first && codePoint <= last);

/**
 * Created on first use, because the creation of a segmenter takes milliseconds: about a tenth of the time of `--help`.
 */
let segmenter: Intl.Segmenter | undefined;

const graphemesIn = (text: string): readonly string[] => {
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" });
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
};

/**
 * Splits a text into graphemes. A reader sees a grapheme as one character, such as a letter with its marks or a whole
 * emoji.
 */
export const graphemesOf = (text: string): readonly string[] => (plain.test(text) ? [...text] : graphemesIn(text));

/** Columns of one grapheme. */
export const graphemeWidth = (grapheme: string): number => {
  if (plain.test(grapheme)) return grapheme.length;
  if (emojiLook.test(grapheme)) return 2;
  let width = 0;
  for (const character of grapheme) {
    // A soft hyphen is visible, although it is a format character.
    if (zeroWidth.test(character) && character !== "\u00ad") continue;
    width += isWide(character.codePointAt(0) ?? 0) ? 2 : 1;
  }
  return width;
};

/** Columns of `text`. Escape codes have no columns. */
export const columns = (text: string): number => {
  const bare = text.replace(escapeCodes, "");
  if (plain.test(bare)) return bare.length;
  return graphemesOf(bare).reduce((sum, grapheme) => sum + graphemeWidth(grapheme), 0);
};

/** Adds spaces at the end of `text` to make it `width` columns wide. A wider text stays unchanged. */
export const padRight = (text: string, width: number): string => text + " ".repeat(Math.max(0, width - columns(text)));

/** Adds spaces at the start of `text` to make it `width` columns wide. A wider text stays unchanged. */
export const padLeft = (text: string, width: number): string => " ".repeat(Math.max(0, width - columns(text))) + text;

/** A unit that is never broken: a grapheme, or an escape code, which has no columns. */
const unitsOf = (line: string): readonly string[] => {
  const units: string[] = [];
  let from = 0;
  for (const found of line.matchAll(escapeCodes)) {
    units.push(...graphemesOf(line.slice(from, found.index)), found[0]);
    from = found.index + found[0].length;
  }
  return [...units, ...graphemesOf(line.slice(from))];
};

const widthOfUnit = (unit: string): number => (unit.startsWith("\u001b") ? 0 : graphemeWidth(unit));

/**
 * Splits `text` into the rows that a terminal of `width` columns shows. A wide character that does not fit moves to the
 * next row.
 */
export const rowTexts = (text: string, width: number): readonly string[] => {
  const rows: string[] = [];
  let row = "";
  let used = 0;
  for (const unit of unitsOf(text)) {
    const own = widthOfUnit(unit);
    if (used + own > width && used > 0) {
      rows.push(row);
      [row, used] = ["", 0];
    }
    row += unit;
    used += own;
  }
  return [...rows, row];
};

/** The longest prefix of `text` that fits into `width` columns. */
export const rowsOf = (text: string, width: number): number => rowTexts(text, width).length;

/** The longest beginning of `text` that fits into `width` columns. */
export const cutText = (text: string, width: number): string => {
  let used = 0;
  let cut = "";
  for (const unit of unitsOf(text)) {
    used += widthOfUnit(unit);
    if (used > width) break;
    cut += unit;
  }
  return cut;
};

/**
 * Breaks units of the given widths into lines of at most `width` columns: at spaces, or inside a long word. The spaces
 * at a break are dropped.
 * @returns start and end of each line, as indices of units.
 */
export const breakLines = <Unit>(
  units: readonly Unit[],
  width: number,
  textOf: (unit: Unit) => string,
): readonly (readonly [begin: number, end: number])[] => {
  const lines: [number, number][] = [];
  let begin = 0;
  while (begin < units.length || lines.length === 0) {
    /** Possible break: end of this line and start of the next. */
    let place: readonly [end: number, next: number] | undefined;
    /** Index of the first word. */
    let word: number | undefined;
    let used = 0;
    let index = begin;
    for (; index < units.length; index++) {
      const text = textOf(units[index] as Unit);
      const own = widthOfUnit(text);
      if (used + own > width && index > begin) {
        if (text === " ") place = [index, index + 1];
        break;
      }
      used += own;
      if (text !== " ") word ??= index;
      else if (word !== undefined) place = [index, index + 1];
    }
    if (index < units.length && place === undefined && word !== undefined && word > begin) {
      // Drop the indent if it would force a break inside a word.
      begin = word;
      continue;
    }
    const [end, next] = index === units.length ? [index, index] : (place ?? [index, index]);
    lines.push([begin, end]);
    if (next === begin) break;
    begin = next;
  }
  return lines;
};

/** Wraps text to lines of at most `width` columns, at spaces if possible. Existing line ends are kept. */
export const wrapText = (text: string, width: number): string[] =>
  text.split("\n").flatMap((line) => {
    if (columns(line) <= width) return [line];
    const units = unitsOf(line);
    return breakLines(units, Math.max(1, width), (unit) => unit).map(([begin, end]) =>
      units.slice(begin, end).join(""),
    );
  });
