import type { ExpectedValue } from "../flags/flags.ts";
import type { FlagWord, VerbWords } from "./words.ts";

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Escapes text for a specification of _arguments or _describe. Some characters have a special meaning there. */
const plain = (text: string): string => text.replace(/[\\:[\]]/gu, (sign) => `\\${sign}`);

/** The action of _arguments that completes a value. */
const action = ({ choices, paths }: ExpectedValue): string => {
  if (choices.length === 0) return paths ? "_files" : " ";
  const words = choices.map(plain).join(" ");
  // The leading space prevents _arguments from inserting words that the user did not type.
  return paths ? ` _foretoken_names_and_files ${words}` : `(${words})`;
};

const flagSpecs = ({ names, summary, value }: FlagWord): readonly string[] =>
  names.map((name) => {
    const takes = value === undefined ? "" : `:value:${action(value)}`;
    // "*" allows the flag to be repeated.
    return quoted(`*${name}${value === undefined ? "" : "="}[${plain(summary)}]${takes}`);
  });

const verbCase = ({ name, flags, argument }: VerbWords): string => {
  const specs = [
    ...flags.flatMap(flagSpecs),
    ...(argument === undefined ? [] : [quoted(`1:argument:${action(argument)}`)]),
  ];
  return `    ${name})
      _arguments \\
${specs.map((spec) => `        ${spec}`).join(" \\\n")}
      ;;`;
};

/** Completion script for zsh. */
export const zshCompletion = (verbs: readonly VerbWords[]): string => {
  const described = [
    ...verbs.map(({ name, summary }) => [name, summary] as const),
    ["help", "show the help"] as const,
    ["version", "show the version"] as const,
  ].map(([name, summary]) => `    ${quoted(`${name}:${plain(summary)}`)}`);
  return `#compdef foretoken
# Completion of foretoken for zsh. For the current shell:
#   source <(npx foretoken completion zsh)
# Permanently: put this into ~/.zshrc after compinit, or save it as _foretoken in a folder of $fpath.

_foretoken_names_and_files() {
  _alternative "names:name:($*)" 'files:file:_files'
}

_foretoken() {
  local -a verbs
  verbs=(
${described.join("\n")}
  )
  if (( CURRENT == 2 )); then
    case $PREFIX in
    -*) _arguments '--help[show the help]' '--version[show the version]' ;;
    *) _describe -t commands command verbs ;;
    esac
    return
  fi
  local verb=$words[2]
  shift words
  (( CURRENT-- ))
  case $verb in
    help)
      _describe -t commands command verbs
      ;;
${verbs.map(verbCase).join("\n")}
  esac
}

if [[ $funcstack[1] == _foretoken ]]; then
  _foretoken "$@"
else
  compdef _foretoken foretoken
fi
`;
};
