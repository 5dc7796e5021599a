import { columns } from "./width.ts";

/** Words of a shell command as written, including quotes. */
const writtenWords = (line: string): readonly string[] =>
  line.match(/(?:\$'(?:\\.|[^'])*'|\\.|'[^']*'|"(?:\\.|[^"])*"|[^\s'"\\])+/gsu) ?? [];

/** A flag and its value stay on one line. A redirection and its file also stay on one line. */
const bindsNext = /^(?:-.*|[<>|]+)$/su;

/** Indentation of continuation lines. */
const furtherIndent = "  ";
const lineGoesOn = " \\";

/** Fills lines of at most `width` columns with words. */
const chunksOf = (command: string, width: number): readonly string[] => {
  const chunks: string[] = [];
  let bound = false;
  for (const word of writtenWords(command)) {
    const both = `${chunks.at(-1)} ${word}`;
    if (bound && !bindsNext.test(word) && columns(furtherIndent + both + lineGoesOn) <= width) {
      chunks[chunks.length - 1] = both;
    } else chunks.push(word);
    bound = bindsNext.test(word) && !word.includes("=");
  }
  return chunks;
};

/**
 * Breaks a command into lines, with a backslash at each line end. A line has at most `width` columns, unless a single
 * word is wider. Words and quoted texts stay whole.
 */
export const wrapCommand = (command: string, width: number): readonly string[] => {
  if (columns(command) <= width) return [command];
  const lines: string[] = [];
  let line = "";
  for (const chunk of chunksOf(command, width)) {
    if (line === "") line = chunk;
    else if (columns(line) + 1 + columns(chunk) + lineGoesOn.length <= width) line += ` ${chunk}`;
    else {
      lines.push(line + lineGoesOn);
      line = furtherIndent + chunk;
    }
  }
  return [...lines, line];
};
