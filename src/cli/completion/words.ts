import { type Argument, Command, type Option } from "commander";
import { type ExpectedValue, expectedValue } from "../flags/flags.ts";
import { declareVerb, type Verbs } from "../verb.ts";

/** A flag as shells complete it. */
export interface FlagWord {
  /** `--flag`, and its short form where it has one. */
  readonly names: readonly string[];
  readonly summary: string;
  /** The value that must follow; undefined for none. */
  readonly value: ExpectedValue | undefined;
}

/** A verb as shells complete it. */
export interface VerbWords {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly FlagWord[];
  /** Its one argument; undefined for none. */
  readonly argument: ExpectedValue | undefined;
}

const anything: ExpectedValue = { choices: [], paths: false, repeats: false };

/** The first line of a description, shortened for a list of flags. */
const brief = (description: string): string => (description.split("\n")[0] ?? "").trim();

const flagWord = ({ long, short, description, required, optional, parseArg }: Option): FlagWord => ({
  names: [long, short].filter((name) => name !== undefined && name !== null),
  summary: brief(description),
  value: required || optional ? ((parseArg && expectedValue(parseArg)) ?? anything) : undefined,
});

const argumentValue = (argument: Argument | undefined): ExpectedValue | undefined =>
  argument && ((argument.parseArg && expectedValue(argument.parseArg)) ?? anything);

const helpFlag: FlagWord = { names: ["--help", "-h"], summary: "show this help", value: undefined };

/** The words that can follow each verb, read from the commands themselves. */
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
