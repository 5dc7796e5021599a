import type { Command, Option } from "commander";
import { ConfigError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { mostEdits, nearest } from "../../core/text/nearest.ts";
import { quoteWord } from "../../core/text/shell-word.ts";
import { commandLeadOf } from "./commands-of-others.ts";
import { type Lead, leadOf, plainName } from "./flags-of-others.ts";
import { ownValue } from "./values-of-others.ts";

const namesOf = (command: Command): readonly string[] =>
  [...command.options.map(({ long }) => long ?? ""), "--help"].filter((flag) => flag !== "");

const optionOf = (command: Command, flag: string): Option | undefined =>
  command.options.find(({ long, short }) => long === flag || short === flag);

const isFlag = (word: string): boolean => /^-{1,2}[a-z]/iu.test(word);
const isKnown = (command: Command, flag: string): boolean =>
  optionOf(command, flag) !== undefined || ["--help", "-h"].includes(flag);

/** A flag on the command line, with the value after an equals sign or in the next word. */
interface Given {
  readonly flag: string;
  readonly value: string | undefined;
  /** Number of words of the flag and its value. */
  readonly length: number;
}

const givenAt = (words: readonly string[], index: number): Given => {
  const [flag = "", ...rest] = (words[index] ?? "").split("=");
  if (rest.length > 0) return { flag, value: rest.join("="), length: 1 };
  const next = words[index + 1];
  return next === undefined || isFlag(next) ? { flag, value: undefined, length: 1 } : { flag, value: next, length: 2 };
};

/** Maximum number of flags in a hint. */
const mostListed = 4;

/**
 * Finds the flags with the name `given`, ignoring dashes and capitals. If no flag matches, it finds flags with `given`
 * after their last dot.
 */
const sameName = (given: string, command: Command): readonly string[] => {
  const known = namesOf(command);
  const like = (nameOf: (flag: string) => string): readonly string[] =>
    known.filter((flag) => plainName(nameOf(flag)) === plainName(given));
  const whole = like((flag) => flag);
  return whole.length > 0 ? whole : like((flag) => flag.split(".").slice(1).at(-1) ?? "");
};

const yes = /^(true|yes|on|1)$/iu;
const no = /^(false|no|off|0)$/iu;

/** `flag`, followed by the given value if the flag has a value. */
const withValue = (command: Command, flag: string, value: string | undefined): string => {
  const option = optionOf(command, flag);
  return value !== undefined && option?.required === true ? `${flag} ${quoteWord(value)}` : flag;
};

/** Counterpart of another program's flag as words. Undefined if the flag has no counterpart. */
const ourWords = (lead: Lead, command: Command, { value }: Given): string | undefined => {
  if ("words" in lead) return value !== undefined && no.test(value) ? undefined : lead.words;
  if (!("flag" in lead)) return undefined;
  const instead = value === undefined ? undefined : ownValue(lead.instead ?? {}, value.toLowerCase());
  if (instead !== undefined) return instead;
  const ours = value === undefined ? undefined : (ownValue(lead.values ?? {}, value.toLowerCase()) ?? value);
  return withValue(command, lead.flag, ours);
};

/** Words that replace an unknown flag, if the meaning of the flag is unambiguous. */
const translated = (given: Given, command: Command): string | undefined => {
  const same = sameName(given.flag, command);
  const [only] = same;
  const lead = leadOf(command.name(), given.flag);
  const whole = only !== undefined && plainName(only) === plainName(given.flag);
  const sameFlag = whole && !(lead !== undefined && "flag" in lead && lead.flag === only);
  if (lead !== undefined && !sameFlag) return ourWords(lead, command, given);
  return same.length === 1 && only !== undefined ? withValue(command, only, given.value) : undefined;
};

/** The flag that chooses a kind: `--optimizer` becomes --train.optimizer.kind. */
const kindFlag = (given: string, command: Command): Option | undefined =>
  command.options.find(({ long }) => {
    const field = /^(.*)\.kind$/u.exec(long ?? "")?.[1];
    return field !== undefined && (field === given || plainName(field.split(".").at(-1) ?? "") === plainName(given));
  });

/**
 * Hint for an unknown flag that is not a flag of a known program. The flag may be a part of a flag's name, or a typing
 * mistake.
 */
const partHint = ({ flag, value }: Given, command: Command): string => {
  const known = namesOf(command);
  const found = sameName(flag, command);
  if (found.length > 0 && found.length <= mostListed) return alternatives(found);
  const within = known.filter((one) => one.startsWith(`${flag}.`));
  const kind = kindFlag(flag, command);
  if (kind !== undefined) {
    const isKind = value !== undefined && /<(.*)>/u.exec(kind.flags)?.[1]?.split("|").includes(value) === true;
    return isKind ? `${kind.long} ${value}` : `${kind.long}`;
  }
  if (within.length > 0 && within.length <= mostListed) return alternatives(within);
  const begun = known.filter((one) => one.startsWith(flag) && !one.includes("."));
  const close = begun.length === 1 ? begun[0] : nearest(flag, known, mostEdits(flag));
  return close === undefined ? `npx foretoken ${command.name()} --help` : withValue(command, close, value);
};

/** Unknown flags in `words`, in order. */
const unknownFlags = (words: readonly string[], command: Command): readonly Given[] => {
  const found: Given[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    if (word === "--") break;
    if (!isFlag(word)) continue;
    const given = givenAt(words, index);
    if (isKnown(command, given.flag)) {
      // Skip the flag's value, because the value may look like a flag.
      if (optionOf(command, given.flag)?.required === true && !word.includes("=")) index++;
    } else found.push(given);
  }
  return found;
};

/** Maximum length of a hint. The error line would cut a longer hint in the middle. */
const longestHint = 140;

/** `words`, in which flags of foretoken replace the flags of other programs. */
const translateWords = (words: readonly string[], command: Command): readonly string[] => {
  const out: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    const given = isFlag(word) ? givenAt(words, index) : undefined;
    if (given === undefined || isKnown(command, given.flag)) {
      out.push(quoteWord(word));
      continue;
    }
    const lead = leadOf(command.name(), given.flag);
    const ours = translated(given, command);
    if (lead !== undefined && "argument" in lead && given.value !== undefined) out.unshift(quoteWord(given.value));
    else if (ours !== "")
      out.push(ours ?? [given.flag, ...(given.value === undefined ? [] : [quoteWord(given.value)])].join(" "));
    const takesValue = lead === undefined || !("words" in lead) || (given.value !== undefined && yes.test(given.value));
    if (takesValue) index += given.length - 1;
  }
  return out;
};

/**
 * Error for an unknown flag of `command`. The error suggests the flag of foretoken with the given value, or says why
 * there is no such flag. If all unknown flags in `words` have counterparts, the error suggests all counterparts.
 */
export const unknownFlagError = (
  where: string,
  flag: string,
  words: readonly string[],
  command: Command,
): ConfigError => {
  const all = unknownFlags(words, command);
  const first = all.find((one) => one.flag === flag) ?? { flag, value: undefined, length: 1 };
  const lead = sameName(flag, command).length === 0 ? leadOf(command.name(), flag) : undefined;
  const got = first.value === undefined ? flag : `${flag} ${first.value}`;
  if (lead !== undefined && "absent" in lead) {
    const told = ownValue(lead.absentWith ?? {}, (first.value ?? "").toLowerCase()) ?? lead.absent;
    return new ConfigError({ where, must: told, got, hint: lead.hint });
  }
  if (lead !== undefined && "argument" in lead) {
    const whole = ["npx foretoken", command.name(), ...translateWords(words.slice(1), command)].join(" ");
    const short = `npx foretoken ${command.name()} ${first.value === undefined ? "DIR" : quoteWord(first.value)}`;
    const hint = first.value === undefined || whole.length > longestHint ? short : whole;
    return new ConfigError({ where, must: lead.argument, got, hint });
  }
  const must = "every flag must be a known flag";
  const own = translated(first, command);
  if (own === undefined) return new ConfigError({ where, must, got: flag, hint: partHint(first, command) });
  // Flags without a counterpart are reported after the user has corrected these flags.
  const known = all.filter((one) => translated(one, command) !== undefined);
  const ours = known.map((one) => translated(one, command)).filter((words) => words !== "");
  const whole = ours.length === 0 ? "the command without this flag" : ours.join(" ");
  if (whole.length > longestHint) return new ConfigError({ where, must, got: flag, hint: own });
  return new ConfigError({ where, must, got: [...new Set(known.map((one) => one.flag))].join(", "), hint: whole });
};

/** Number of commands that an error names. A list of all commands would be too long. */
const namedCommands = 5;

/**
 * Error for an unknown command: suggests a command with the given arguments, or says why there is no such command.
 * @param declared declares a command with its flags.
 */
export const unknownCommandError = async (
  [name = "", ...rest]: readonly string[],
  names: readonly string[],
  declared: (name: string) => Promise<Command>,
): Promise<ConfigError> => {
  const where = "command line";
  const must = `the command must be ${names.slice(0, namedCommands).join(", ")} or another command in --help`;
  const got = JSON.stringify(name);
  const lead = commandLeadOf(name);
  if (lead !== undefined && "absent" in lead) {
    return new ConfigError({ where, must: lead.absent, got, hint: lead.hint });
  }
  if (lead === undefined) {
    const path = /\.(txt|md)$/u.test(name) ? ["train", "--data"] : name.includes("/") ? ["generate"] : undefined;
    const hint =
      path === undefined ? nearest(name, names, mostEdits(name)) : `npx foretoken ${path.join(" ")} ${quoteWord(name)}`;
    return new ConfigError({ where, must, got, hint: hint ?? "npx foretoken --help" });
  }
  const [verb = "", ...flags] = lead.words;
  const words = translateWords(rest, await declared(verb));
  // A flag with a value comes before the folder; a switch comes after it.
  const inOrder = verb === "train" ? [...flags, ...words] : [...words, ...flags];
  const whole = ["npx foretoken", verb, ...inOrder].join(" ");
  const hint = whole.length <= longestHint ? whole : `npx foretoken ${verb}`;
  return new ConfigError({ where, must, got, hint });
};
