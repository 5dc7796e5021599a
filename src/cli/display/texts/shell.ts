import { quoteWord } from "../../../core/shell-word.ts";

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
