/** Text in an SVG file. The text is never interpreted as markup. */
import { oneLine } from "../core/text/one-line.ts";

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Characters that XML forbids even as references, in addition to control characters. These characters are halves of
 * surrogate pairs and two non-characters.
 */
const forbidden = /\p{Cs}|[\ufffe\uffff]/gu;

/**
 * Escapes text for an element or an attribute, in one line. Control characters are shown as escapes, so they cannot
 * reorder the text around them.
 */
export const escaped = (text: string): string =>
  oneLine(text)
    .replace(forbidden, "\ufffd")
    .replace(/[&<>"']/gu, (sign) => entities[sign] ?? sign);

/** Approximate number of columns of a character. East Asian characters and emoji need two columns. */
const widthOf = (character: string): number => ((character.codePointAt(0) ?? 0) >= 0x1100 ? 2 : 1);

/** Cuts text to about `most` columns. A longer text ends with an ellipsis. */
export const fitted = (text: string, most: number): string => {
  const characters = [...oneLine(text)];
  const total = characters.reduce((sum, character) => sum + widthOf(character), 0);
  if (total <= most) return characters.join("");
  let used = 1;
  const kept = characters.findIndex((character) => {
    used += widthOf(character);
    return used > most;
  });
  return `${characters.slice(0, kept).join("")}…`;
};

/**
 * Breaks text into lines of about `width` columns. A line may break at any character, because names have few spaces. If
 * more than `most` lines are needed, the middle is cut, because names differ at their ends.
 */
export const wrapped = (text: string, width: number, most: number): readonly string[] => {
  const characters = [...oneLine(text)];
  const lines: string[] = [];
  let [line, used] = ["", 0];
  for (const character of characters) {
    if (used + widthOf(character) > width) {
      lines.push(line);
      [line, used] = ["", 0];
    }
    line += character;
    used += widthOf(character);
  }
  lines.push(line);
  if (lines.length <= most) return lines;
  // If the next character needs two columns, a line may end one column early.
  const half = Math.floor(((width - 1) * most) / 2);
  const wide = characters.some((character) => widthOf(character) > 1) ? 2 : 1;
  const kept = Math.floor((half - 1) / wide);
  return wrapped(`${characters.slice(0, kept).join("")}…${characters.slice(-kept).join("")}`, width, most);
};

/**
 * Joins parts with ", " into at most `most` lines of about `width` columns. If parts are missing, the last line says
 * how many.
 */
export const inLines = (parts: readonly string[], width: number, most: number): readonly string[] => {
  const lines: string[] = [];
  for (const [i, part] of parts.entries()) {
    const own = fitted(part, width - 1);
    const last = lines.at(-1);
    if (last !== undefined && last.length + own.length + 2 <= width) {
      lines[lines.length - 1] = `${last}, ${own}`;
    } else if (lines.length < most) lines.push(own);
    else {
      lines[most - 1] = `${fitted(last ?? "", width - 15)}, and ${parts.length - i} more`;
      break;
    }
  }
  return lines;
};
