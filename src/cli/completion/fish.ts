import type { ExpectedValue } from "../flags/flags.ts";
import type { FlagWord, VerbWords } from "./words.ts";

const quoted = (text: string): string => `'${text.replace(/['\\]/gu, (sign) => `\\${sign}`)}'`;

/** Words that complete this position. Files are included if this position allows files. */
const valueFlags = ({ choices, paths }: ExpectedValue): string =>
  `${paths ? "-F" : "-f"}${choices.length === 0 ? "" : ` -a ${quoted(choices.join(" "))}`}`;

const flagLine = (condition: string, { names, summary, value }: FlagWord): string => {
  const spelt = names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)).join(" ");
  const takes = value === undefined ? "" : ` -r ${valueFlags(value)}`;
  return `complete -c foretoken -n ${condition} ${spelt}${takes} -d ${quoted(summary)}`;
};

const verbLines = ({ name, flags, argument }: VerbWords): readonly string[] => {
  const condition = quoted(`__fish_seen_subcommand_from ${name}`);
  return [
    ...(argument === undefined ? [] : [`complete -c foretoken -n ${condition} ${valueFlags(argument)}`]),
    ...flags.map((flag) => flagLine(condition, flag)),
  ];
};

/** Completion script for fish. */
export const fishCompletion = (verbs: readonly VerbWords[]): string => {
  const first = "__fish_use_subcommand";
  const top: readonly (readonly [string, string])[] = [
    ...verbs.map(({ name, summary }) => [name, summary] as const),
    ["help", "show the help"],
    ["version", "show the version"],
  ];
  return `# Completion of foretoken for fish. For the current shell:
#   npx foretoken completion fish | source
# Permanently: npx foretoken completion fish > ~/.config/fish/completions/foretoken.fish

complete -c foretoken -f
complete -c foretoken -n ${first} -l help -s h -d 'show the help'
complete -c foretoken -n ${first} -l version -s V -d 'show the version'
${top.map(([name, summary]) => `complete -c foretoken -n ${first} -a ${name} -d ${quoted(summary)}`).join("\n")}
complete -c foretoken -n '__fish_seen_subcommand_from help' -a ${quoted(verbs.map(({ name }) => name).join(" "))}
${verbs.flatMap(verbLines).join("\n")}
`;
};
