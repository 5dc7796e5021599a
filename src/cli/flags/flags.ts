import { type Command, Option } from "commander";
import { type BackendChoice, backendChoices } from "../../backend/choices.node.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { type DTypeChoice, dtypeChoices } from "../../core/tensors/dtype.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { nearest } from "../../core/text/nearest.ts";
import { quoteWord } from "../../core/text/shell-word.ts";
import { show, showWord } from "../../core/text/show.ts";
import { deviceNames, dtypeNames, ownValue } from "../suggestions/values-of-others.ts";

/** The flag for an option's name: maxNewTokens becomes --max-new-tokens. */
export const flagOf = (name: string): string => `--${name.replace(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`)}`;

/** Values that a shell can complete for a flag. */
export interface ExpectedValue {
  readonly choices: readonly string[];
  /** Whether the value may be a file or a folder. */
  readonly paths: boolean;
  /** Whether the flag may be given several times. */
  readonly repeats: boolean;
}

type Parser = (text: string, earlier: never) => unknown;

const expectedValues = new WeakMap<object, ExpectedValue>();

/** Records the values that `parser` accepts, for completion. Returns the parser. */
export const expecting = <P extends Parser>(
  parser: P,
  { choices = [], paths = false, repeats = false }: Partial<ExpectedValue>,
): P => {
  expectedValues.set(parser, { choices, paths, repeats });
  return parser;
};

/** Values recorded for `parser`. */
export const expectedValue = (parser: object): ExpectedValue | undefined => expectedValues.get(parser);

/** Refuses a flag that is given twice if it may not be repeated. Otherwise the first value would be lost silently. */
export const refuseRepeats = (command: Command): void => {
  for (const option of command.options) {
    const { long, required, optional, parseArg } = option;
    if (!(required || optional) || (parseArg && expectedValue(parseArg)?.repeats)) continue;
    let earlier: string | undefined;
    command.on(`option:${option.name()}`, (text: string) => {
      if (earlier !== undefined) {
        throw new ConfigError({
          where: long ?? option.flags,
          must: "must be given once",
          got: `${show(earlier)} and ${show(text)}`,
          hint: option.name().endsWith("data") ? "one of them, or a folder with both" : "one of them",
        });
      }
      earlier = text;
    });
  }
};

/** @throws ConfigError if `text` looks like a flag, because then the user forgot the value. */
export const checkValue = (flag: string, text: string): void => {
  if (!/^--[a-z]/iu.test(text)) return;
  throw new ConfigError({ where: flag, must: "must have a value", got: `nothing before ${showWord(text)}` });
};

const plainNumber = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/iu;

/** Digits in groups of three, such as 1,000 or 1.000.000 or 1 000. Decimals may follow after a different separator. */
const grouped = /^([+-]?)([1-9]\d{0,2})((?:([,.'’_ \u00a0\u202f])\d{3})(?:\4\d{3})*)(?:([,.])(\d+))?$/u;

/**
 * Suggests how to write a number that has thousands separators or a decimal comma. Returns undefined for any other
 * text.
 */
const asNumber = (text: string): string | undefined => {
  const [, sign = "", first = "", rest = "", separator = "", point, decimals] = grouped.exec(text) ?? [];
  const withPoint = text.replace(",", ".");
  if (first === "" || point === separator) return plainNumber.test(withPoint) ? withPoint : undefined;
  const whole = `${sign}${first}${rest.replaceAll(separator, "")}`;
  if (decimals !== undefined) return `${whole}.${decimals}`;
  // A single comma may be a decimal comma or a thousands separator.
  return separator === "," && rest.length === 4 ? `${whole}, or ${withPoint} if the comma is a decimal point` : whole;
};

/**
 * Parses a number as programs write it. A comma or a thousands separator is ambiguous, so it is refused, and the error
 * suggests the correct spelling.
 * @throws ConfigError naming the flag, for text such as "abc", "", "1,000", "0x10" or "1e999".
 */
export const parseNumber =
  (flag: string) =>
  (text: string): number => {
    checkValue(flag, text);
    const value = plainNumber.test(text) ? Number(text) : Number.NaN;
    if (Number.isFinite(value)) return value;
    const must = Number.isNaN(value)
      ? "must be a number"
      : "must be within the range of a 64-bit floating-point number";
    const hint = Number.isNaN(value) ? asNumber(text) : undefined;
    throw new ConfigError({ where: flag, must, got: JSON.stringify(text), ...(hint === undefined ? {} : { hint }) });
  };

/** Parses a whole number from `lowest` to `highest`. */
export const parseInteger =
  (flag: string, lowest: number, highest = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = parseNumber(flag)(text);
    if (!Number.isInteger(value) || value < lowest || value > highest) {
      const range = highest === Number.MAX_SAFE_INTEGER ? `, at least ${lowest}` : ` from ${lowest} to ${highest}`;
      throw new ConfigError({ where: flag, must: `must be a whole number${range}`, got: text });
    }
    return value;
  };

/** Parses a number above 0 and below 1. */
export const parseFraction =
  (flag: string) =>
  (text: string): number => {
    const value = parseNumber(flag)(text);
    if (value > 0 && value < 1) return value;
    throw new ConfigError({ where: flag, must: "must be above 0 and below 1", got: text, hint: "0.1" });
  };

export const parseBoolean = (flag: string): ((text: string) => boolean) => {
  const parse = (text: string): boolean => {
    checkValue(flag, text);
    if (text === "true") return true;
    if (text === "false") return false;
    throw new ConfigError({ where: flag, must: "must be true or false", got: JSON.stringify(text) });
  };
  return expecting(parse, { choices: ["true", "false"] });
};

/**
 * Parses one of `choices`.
 * @param others hints for known wrong names, in lower case.
 */
export const parseChoice = <Choice extends string>(
  flag: string,
  choices: readonly Choice[],
  others: Readonly<Record<string, string>> = {},
): ((text: string) => Choice) => {
  const parse = (text: string): Choice => {
    checkValue(flag, text);
    const found = choices.find((choice) => choice === text);
    if (found !== undefined) return found;
    throw new ConfigError({
      where: flag,
      must: `must be ${alternatives(choices)}`,
      got: show(text),
      hint: ownValue(others, text.toLowerCase()) ?? nearest(text, choices) ?? "--help",
    });
  };
  return expecting(parse, { choices });
};

/** Parses a comma-separated list of `choices`. */
export const parseWords = (flag: string, choices: readonly string[]): ((text: string) => readonly string[]) => {
  const one = parseChoice(flag, choices);
  return expecting((text: string) => text.split(",").map((word) => one(word.trim())), { choices });
};

/**
 * Parses a path or a name. If the text is a flag, the user probably forgot the value.
 * @param names known names, for completion.
 */
export const parsePath = (flag: string, names: readonly string[] = []): ((text: string) => string) => {
  const parse = (text: string): string => {
    if (text !== "" && !text.startsWith("--")) return text;
    throw new ConfigError({
      where: flag,
      must: "must have a name or a path",
      got: JSON.stringify(text),
      ...(text === "" ? {} : { hint: `./${text} if this is the name of a file` }),
    });
  };
  return expecting(parse, { choices: names, paths: true });
};

const escapes: Readonly<Record<string, string>> = { "\\n": "\n", "\\t": "\t", "\\\\": "\\" };

/** Parses text and interprets `\n`, `\t` and `\\`. @throws ConfigError for any other backslash sequence. */
export const parseText =
  (flag: string) =>
  (text: string): string =>
    text.replace(/\\(?:.|$)/gsu, (sequence) => {
      const character = escapes[sequence];
      if (character !== undefined) return character;
      throw new ConfigError({
        where: flag,
        must: "a backslash must be followed by n, t or another backslash",
        got: sequence === "\\" ? "a backslash at the end" : sequence,
        hint: sequence === "\\" ? "\\\\" : `\\${sequence}`,
      });
    });

/** Escapes text so that `parseText` reads it back. */
export const escapeText = (text: string): string =>
  text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\t", "\\t");

/** Flags that control how a command computes. These flags do not change the command's result. */
export interface RunningFlags {
  readonly backend: BackendChoice;
  readonly threads?: number;
  readonly json?: true;
}

/** Adds the flags for the backend and the threads. */
export const addComputingFlags = (command: Command, group = "Running: backend and threads"): Command =>
  command
    .optionsGroup(group)
    .addOption(
      new Option("--backend <name>", `backend that computes: ${backendChoices.join(", ")}`)
        .default("auto")
        .argParser(parseChoice("--backend", backendChoices, deviceNames)),
    )
    .option(
      "--threads <n>",
      "number of threads that compute, 1 to 256 (default: one thread for each core)",
      parseInteger("--threads", 1, 256),
    );

export const addRunningFlags = (command: Command): Command =>
  addComputingFlags(command, "Running: backend, threads and output").option(
    "--json",
    "write only JSON to standard output, one object on each line",
  );

/** Flags for the dtype of a model. */
export interface DTypeFlag {
  readonly dtype: DTypeChoice;
  readonly widen?: true;
}

/** Load options from the dtype flags. */
export const weightsKept = ({ dtype, widen }: DTypeFlag) => ({ dtype, keepBlocks: widen !== true });

export const addDTypeFlag = (command: Command, about = ""): Command =>
  command
    .addOption(
      new Option("--dtype <name>", `number format of matrix products: ${dtypeChoices.join(", ")}${about}`)
        .default("auto")
        .argParser(parseChoice("--dtype", dtypeChoices, dtypeNames)),
    )
    .option(
      "--widen",
      "convert weights of 4 to 8 bits (as in GGUF files) to the dtype; matrix products are then exact, but slower and need more memory",
    );

/** For each command, the flag that the user probably wanted when the command line has a surplus word. */
const flagForWord: Readonly<Record<string, string>> = { generate: "--prompt", train: "--data", evaluate: "--data" };

/**
 * Suggests the flag for surplus words after the arguments. Undefined if the command has no such flag, or if the user
 * gave this flag.
 */
const flagForWords = (command: Command, words: readonly string[]): string | undefined => {
  const option = command.options.find(({ long }) => long === flagForWord[command.name()]);
  if (option === undefined || isGiven(command, option) || command.opts().interactive === true) return undefined;
  const [first = ""] = words;
  // In nanoGPT, a configuration is a Python program.
  if (command.name() === "train" && first.endsWith(".py")) return "--preset book, or --config FILE with a JSON file";
  if (command.name() === "train" && first.endsWith(".json")) return `--config ${quoteWord(first)}`;
  return `${option.long} ${quoteWord(words.join(" "))}`;
};

/** @throws ConfigError naming the surplus words, because commander's own error does not name the words. */
export const checkArguments = (command: Command): void => {
  const surplus = command.args[command.registeredArguments.length];
  if (surplus === undefined) return;
  const forWords = flagForWords(command, command.args.slice(command.registeredArguments.length));
  const takes = command.registeredArguments
    .map((one) => (one.required ? `<${one.name()}>` : `[${one.name()}]`))
    .join(" ");
  throw new ConfigError({
    where: command.name(),
    must: takes === "" ? "accepts only flags" : `accepts only ${takes} and flags`,
    got: JSON.stringify(surplus),
    hint: forWords ?? (takes === "" ? "--help" : "quotes around a value with spaces"),
  });
};

/** Whether the user gave the option. False if the option has its default. */
export const isGiven = (command: Command, option: Option): boolean =>
  command.getOptionValueSource(option.attributeName()) === "cli";
