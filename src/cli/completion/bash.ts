import type { ExpectedValue } from "../flags/flags.ts";
import type { VerbWords } from "./words.ts";

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** The shell function call that completes a value. */
const valueCall = ({ choices, paths }: ExpectedValue): string => {
  if (choices.length === 0) return paths ? "_foretoken_paths" : "_foretoken_nothing";
  return `${paths ? "_foretoken_words_and_paths" : "_foretoken_words"} ${quoted(choices.join(" "))}`;
};

/** Case branches for flags with values. Flags with the same completion share one line. */
const valueCases = ({ name, flags }: VerbWords): readonly string[] => {
  const byCall = new Map<string, string[]>();
  for (const { names, value } of flags) {
    if (value === undefined) continue;
    const call = valueCall(value);
    byCall.set(call, [...(byCall.get(call) ?? []), ...names.map((flag) => `${name}:${flag}`)]);
  }
  return [...byCall].map(([call, patterns]) => `    ${patterns.join("|")}) ${call}; return ;;`);
};

/** Completion script for bash 3.2 and later. */
export const bashCompletion = (verbs: readonly VerbWords[]): string => {
  const flagCases = verbs.map(
    ({ name, flags }) =>
      `    ${name}) _foretoken_words ${quoted(flags.flatMap(({ names }) => names[0] ?? []).join(" "))} ;;`,
  );
  const argumentCases = verbs.map(
    ({ name, argument }) => `    ${name}) ${argument === undefined ? "_foretoken_nothing" : valueCall(argument)} ;;`,
  );
  return `# Completion of foretoken for bash. For the current shell:
#   source <(npx foretoken completion bash)
# Permanently: npx foretoken completion bash >> ~/.bashrc

_foretoken_words() {
  COMPREPLY=($(compgen -W "$1" -- "$cur"))
}

_foretoken_paths() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -f -- "$cur"))
}

_foretoken_words_and_paths() {
  local paths
  _foretoken_paths
  paths=("\${COMPREPLY[@]}")
  _foretoken_words "$1"
  COMPREPLY+=("\${paths[@]}")
}

_foretoken_nothing() {
  COMPREPLY=()
}

_foretoken() {
  local cur=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} verb=\${COMP_WORDS[1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -le 1 ]; then
    case $cur in
    -*) _foretoken_words '--help --version' ;;
    *) _foretoken_words ${quoted([...verbs.map(({ name }) => name), "help", "version"].join(" "))} ;;
    esac
    return
  fi
  if [ "$verb" = help ]; then
    _foretoken_words ${quoted(verbs.map(({ name }) => name).join(" "))}
    return
  fi
  # bash takes --flag=value for three words.
  if [ "$cur" = = ]; then
    cur=
  elif [ "$before" = = ]; then
    before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  case $verb:$before in
${verbs.flatMap(valueCases).join("\n")}
  esac
  case $cur in
  -*)
    case $verb in
${flagCases.join("\n")}
    esac
    ;;
  *)
    case $verb in
${argumentCases.join("\n")}
    esac
    ;;
  esac
}

complete -F _foretoken foretoken
`;
};
