import { type Command, Option } from "commander";
import { jsonLimits, parseJson } from "../../core/checks/json.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { readRegularFile, UnreadableFileError } from "../../core/system/regular-file.node.ts";
import type { Constraint } from "../../generate/constraint/constraint.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { expecting, flagOf, parsePath } from "./flags.ts";

/** Flags for the constraint on a text. */
export interface ConstraintFlags {
  readonly jsonSchema?: string;
  readonly anyJson?: true;
  readonly regex?: string;
  readonly choice: readonly string[];
  readonly grammar?: string;
}

export const constraintFlagNames = ["jsonSchema", "anyJson", "regex", "choice", "grammar"] as const;

/** @param group heading of the flags in the help. */
export const addConstraintFlags = (command: Command, group = "Format: a rule that the text must follow"): Command =>
  command
    .optionsGroup(group)
    .option(
      "--json-schema <file>",
      "JSON that fits the JSON Schema in this file; unsupported keywords are refused (default: none)",
      parsePath("--json-schema"),
    )
    .option("--any-json", "a JSON object or array")
    .option(
      "--regex <pattern>",
      "a text that fully matches this JavaScript regular expression (default: none)",
      expecting((text: string) => text, {}),
    )
    .addOption(
      new Option("--choice <text>", "this text, or one of several texts if the flag is given several times")
        .default([], "none")
        .argParser(
          expecting((text: string, earlier: readonly string[]): readonly string[] => [...earlier, text], {
            repeats: true,
          }),
        ),
    )
    .option(
      "--grammar <file>",
      "a text that fits the rule root of the EBNF grammar in this file (default: none)",
      parsePath("--grammar"),
    );

const readFile = async (flag: string, path: string): Promise<Uint8Array> => {
  try {
    return await readRegularFile(path, { maxBytes: jsonLimits.config.maxBytes, followLinks: true });
  } catch (cause) {
    const got = cause instanceof UnreadableFileError ? cause.message : "an unreadable file";
    throw new ConfigError({ where: flag, must: "must be a file of at most 1 MiB", got: `${path}: ${got}`, cause });
  }
};

export const givenConstraintFlags = (flags: ConstraintFlags) =>
  constraintFlagNames.filter((name) => flags[name] !== undefined && (name !== "choice" || flags.choice.length > 0));

/** @throws ConfigError naming the flag, if the constraint is not supported or if the vocabulary cannot write it. */
export const checkConstraint = async (
  constraint: Constraint | undefined,
  flags: ConstraintFlags,
  tokenizer: Tokenizer,
): Promise<void> => {
  if (constraint === undefined) return;
  // The modules are imported only here, because most texts have no constraint.
  const { compileConstraint } = await import("../../generate/constraint/compile.ts");
  const { asField } = await import("../../generate/constraint/fields.ts");
  const [name = "jsonSchema"] = givenConstraintFlags(flags);
  const { [name]: value } = flags;
  const file = (name === "jsonSchema" || name === "grammar") && typeof value === "string" ? ` ${value}` : "";
  asField(`${flagOf(name)}${file}`, () => compileConstraint(constraint, tokenizer));
};

/** Reads the constraint from the flags. @throws ConfigError for two constraints at once, and for an unreadable file. */
export const constraintOf = async (flags: ConstraintFlags): Promise<Constraint | undefined> => {
  const given = givenConstraintFlags(flags);
  if (given.length > 1) {
    const both = given.slice(0, 2).map(flagOf);
    throw new ConfigError({
      where: both.join(" and "),
      must: "cannot be combined: only one flag may set the format of the text",
      got: "both",
    });
  }
  const { jsonSchema, anyJson, regex, choice, grammar } = flags;
  if (jsonSchema !== undefined) {
    const bytes = await readFile("--json-schema", jsonSchema);
    const limits = { ...jsonLimits.config, anyKey: true };
    const schema = parseJson(
      bytes,
      limits,
      (fault) => new ConfigError({ where: `--json-schema ${jsonSchema}`, ...fault }),
    );
    return { kind: "jsonSchema", schema };
  }
  if (grammar !== undefined) {
    return { kind: "grammar", grammar: new TextDecoder().decode(await readFile("--grammar", grammar)) };
  }
  if (regex !== undefined) return { kind: "regex", pattern: regex };
  if (choice.length > 0) return { kind: "choice", choices: choice };
  return anyJson === true ? { kind: "json" } : undefined;
};
