import { controls } from "./one-line.ts";

/** Formats a control character as escaped bytes in the form `$'…'` of shells, for example `\033`. */
const octal = (control: string): string =>
  Array.from(new TextEncoder().encode(control), (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");

/**
 * Formats a word of a command line. The word is quoted if a shell would split it, and it never moves a terminal's
 * cursor.
 */
export const quoteWord = (word: string): string => {
  if (/^[\w@%+=:,./-]+$/u.test(word)) return word;
  if (word.search(controls) >= 0) return `$'${word.replace(/[\\']/gu, "\\$&").replace(controls, octal)}'`;
  // Double quotes work in every shell, unless the text has characters that are special in a shell.
  return /^[^"$`\\!%]*$/u.test(word) ? `"${word}"` : `'${word.replaceAll("'", "'\\''")}'`;
};

/**
 * Formats a path as an argument of a command. A path that begins with - is changed, so that the command does not read
 * it as a flag.
 */
export const quotePath = (path: string): string => quoteWord(path.startsWith("-") ? `./${path}` : path);

/**
 * A `foretoken` command that can be copied into a shell.
 * @param words the verb, its arguments and its flags. Flags must have their long form.
 */
export const commandLine = (words: readonly string[]): string => {
  const isFlag = (word: string | undefined): boolean => word?.startsWith("--") === true;
  const quoted = words.map((word, i) => (isFlag(word) || isFlag(words[i - 1]) ? quoteWord(word) : quotePath(word)));
  return ["npx foretoken", ...quoted].join(" ");
};
