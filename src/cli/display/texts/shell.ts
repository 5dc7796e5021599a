import { columns } from "./width.ts";

/** Words of a shell's line as they are written, quotes included. */
const writtenWords = (line: string): readonly string[] =>
  line.match(/(?:\$'(?:\\.|[^'])*'|\\.|'[^']*'|"(?:\\.|[^"])*"|[^\s'"\\])+/gsu) ?? [];

/** A flag with its value, and a redirection with its file, are not parted. */
const bindsNext = /^(?:-.*|[<>|]+)$/su;

/** How far the further lines of a command are indented. */
const furtherIndent = "  ";
const lineGoesOn = " \\";

/** Words that stay in one line of `width` columns, as far as they fit. */
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
 * A command in lines of at most `width` columns, as far as its words allow, with the backslashes that make one command of
 * them in a shell. No word is broken, nor a text in quotes.
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
