import { controls } from "../../core/one-line.ts";

/** A control character by its bytes, as `$'…'` takes them in every shell that has it: `\033`. */
const octal = (control: string): string =>
  Array.from(new TextEncoder().encode(control), (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");

/** A word of a command line, quoted where a shell would take it apart. Nothing in it moves a terminal's cursor. */
const quoteWord = (word: string): string => {
  if (/^[\w@%+=:,./-]+$/u.test(word)) return word;
  if (word.search(controls) >= 0) return `$'${word.replace(/[\\']/gu, "\\$&").replace(controls, octal)}'`;
  // Double quotes work in every shell, as long as nothing in them is special to one.
  return /^[^"$`\\!%]*$/u.test(word) ? `"${word}"` : `'${word.replaceAll("'", "'\\''")}'`;
};

/** A command that can be copied into a shell. */
export const commandLine = (words: readonly string[]): string =>
  ["npx", "foretoken", ...words].map(quoteWord).join(" ");

/** `args` without the flags `names` and their values, in either spelling (`--flag value`, `--flag=value`). */
export const withoutFlags = (args: readonly string[], names: readonly string[]): readonly string[] => {
  const kept: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const word = args[i] as string;
    if (names.includes(word)) i++;
    else if (!names.some((name) => word.startsWith(`${name}=`))) kept.push(word);
  }
  return kept;
};
