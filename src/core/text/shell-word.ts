import { controls } from "./one-line.ts";

/** A control character as bytes in the form `$'…'` of shells: `\033`. */
const octal = (control: string): string =>
  Array.from(new TextEncoder().encode(control), (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");

/** A word of a command line, quoted if a shell would split it. It never moves a terminal's cursor. */
export const quoteWord = (word: string): string => {
  if (/^[\w@%+=:,./-]+$/u.test(word)) return word;
  if (word.search(controls) >= 0) return `$'${word.replace(/[\\']/gu, "\\$&").replace(controls, octal)}'`;
  // Double quotes work in every shell, unless the text has characters that are special in a shell.
  return /^[^"$`\\!%]*$/u.test(word) ? `"${word}"` : `'${word.replaceAll("'", "'\\''")}'`;
};

/**
 * A path as an argument of a command. If the path begins with -, it is changed so that the command does not take it for
 * a flag.
 */
export const quotePath = (path: string): string => quoteWord(path.startsWith("-") ? `./${path}` : path);

/**
 * A `foretoken` command that can be copied into a shell.
 * @param words the verb, its arguments and flags; flags in their long form.
 */
export const commandLine = (words: readonly string[]): string => {
  const isFlag = (word: string | undefined): boolean => word?.startsWith("--") === true;
  const quoted = words.map((word, i) => (isFlag(word) || isFlag(words[i - 1]) ? quoteWord(word) : quotePath(word)));
  return ["npx foretoken", ...quoted].join(" ");
};
