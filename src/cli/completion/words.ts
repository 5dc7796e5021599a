import { type Argument, Command, type Option } from "commander";
import { type ExpectedValue, expectedValue } from "../flags/flags.ts";
import { declareVerb, type Verbs } from "../verb.ts";

/** A flag, as completion scripts need it. */
export interface FlagWord {
  /** `--flag`, followed by its short name if it has one. */
  readonly names: readonly string[];
  readonly summary: string;
  /** Completion of the flag's value. Undefined for a flag without a value. */
  readonly value: ExpectedValue | undefined;
}

/** A command, as completion scripts need it. */
export interface VerbWords {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly FlagWord[];
  /** Completion of the command's argument. Undefined for a command without an argument. */
  readonly argument: ExpectedValue | undefined;
}

const anything: ExpectedValue = { choices: [], paths: false, repeats: false };

/** First line of a description, for lists of flags. */
const brief = (description: string): string => (description.split("\n")[0] ?? "").trim();

const flagWord = ({ long, short, description, required, optional, parseArg }: Option): FlagWord => ({
  names: [long, short].filter((name) => name !== undefined && name !== null),
  summary: brief(description),
  value: required || optional ? ((parseArg && expectedValue(parseArg)) ?? anything) : undefined,
});

const argumentValue = (argument: Argument | undefined): ExpectedValue | undefined =>
  argument && ((argument.parseArg && expectedValue(argument.parseArg)) ?? anything);

const helpFlag: FlagWord = { names: ["--help", "-h"], summary: "show this help", value: undefined };

/** Reads the declarations of the commands, and returns the words that may follow each command. */
export const collectWords = (verbs: Verbs): Promise<readonly VerbWords[]> =>
  Promise.all(
    Object.entries(verbs).map(async ([name, verb]) => {
      const command = new Command(name);
      await declareVerb(command, verb);
      return {
        name,
        summary: verb.summary,
        flags: [...command.options.filter(({ hidden }) => !hidden).map(flagWord), helpFlag],
        argument: argumentValue(command.registeredArguments[0]),
      };
    }),
  );
