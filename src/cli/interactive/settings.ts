import { parseConfig } from "../../core/checks/config.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { mostEdits, nearest } from "../../core/text/nearest.ts";
import { generateSettingsSchema } from "../../generate/options.ts";
import { unknownChoices } from "../../tokenizer/unknown.ts";
import { wrapText } from "../display/texts/width.ts";
import { flagOf, parseChoice, parseNumber } from "../flags/flags.ts";
import { type Entry, entryLines } from "../help.ts";
import { leadOf } from "../suggestions/flags-of-others.ts";

/** The settings that determine the text, together with the prompt. */
export type Settings = Required<ReturnType<typeof generateSettingsSchema.parse>>;

const parsers = {
  temperature: parseNumber,
  topK: parseNumber,
  topP: parseNumber,
  minP: parseNumber,
  typicalP: parseNumber,
  repetitionPenalty: parseNumber,
  presencePenalty: parseNumber,
  frequencyPenalty: parseNumber,
  maxNewTokens: parseNumber,
  seed: parseNumber,
  unknown: (command: string) => parseChoice(command, unknownChoices),
} as const satisfies Partial<Record<keyof Settings, (command: string) => (text: string) => unknown>>;
/** A setting that has a command. */
export type SettingName = keyof typeof parsers;
export const settingNames = Object.keys(parsers) as readonly SettingName[];

const commandOf = (name: string): string => flagOf(name).replace("--", "/");

/** A typed command: `/top-k 5` is `/top-k` with the argument `5`. */
export interface TypedCommand {
  readonly command: string;
  readonly argument: string;
}

export const parseCommand = (line: string): TypedCommand => {
  const [command = "", ...words] = line.trim().split(/\s+/u);
  return { command, argument: words.join(" ") };
};

/** Settings of a session, with the commands that show and change them. */
export interface SessionSettings {
  current(): Settings;
  replace(settings: Settings): void;
  /** All commands of the session, for completion. */
  readonly commands: readonly string[];
  /**
   * Shows or changes a setting; returns undefined if the command is not for a setting.
   * @throws ConfigError for an invalid value.
   */
  run(typed: TypedCommand): readonly string[] | undefined;
  /** Error for an unknown command. */
  unknown(typed: TypedCommand): ConfigError;
  /** Lines of `/help`: `about`, followed by the commands. */
  help(about: readonly string[], width: number): readonly string[];
}

/**
 * @param names settings that get a command.
 * @param others other commands, with their descriptions.
 */
export const sessionSettings = (
  first: Settings,
  names: readonly SettingName[],
  others: Readonly<Record<string, string>>,
): SessionSettings => {
  let settings = first;
  const byCommand: ReadonlyMap<string, SettingName> = new Map(names.map((name) => [commandOf(name), name]));
  const commands = [...byCommand.keys(), ...Object.keys(others)];

  /**
   * Suggests a command for `given`. `given` may be a name from another program, the start of a command, or a typing
   * mistake.
   */
  const hintFor = ({ command: given, argument }: TypedCommand): string => {
    const lead = leadOf("generate", given.slice(1));
    const led = lead !== undefined && "flag" in lead ? lead.flag.replace("--", "/") : undefined;
    const begun = commands.filter((command) => command.startsWith(given));
    const close = begun.length === 1 ? begun[0] : nearest(given, commands, mostEdits(given));
    const found = commands.find((command) => command === led) ?? close;
    return [found ?? "/help", ...(found !== undefined && byCommand.has(found) ? [argument] : [])].join(" ").trim();
  };

  return {
    commands,
    current: () => settings,
    replace: (next) => {
      settings = next;
    },
    run({ command, argument }) {
      const name = byCommand.get(command);
      if (name === undefined) return undefined;
      if (argument !== "") {
        const changed = { ...settings, [name]: parsers[name](command)(argument) };
        settings = parseConfig(generateSettingsSchema, changed, ([field = ""]) => commandOf(field));
      }
      return [`${command} ${settings[name]}`];
    },
    unknown: (typed) =>
      new ConfigError({
        where: "command",
        must: "must be a known command",
        got: JSON.stringify(typed.command),
        hint: `${hintFor(typed)}, or // to begin a text with /`,
      }),
    help(about, width) {
      const purposeOf = (name: SettingName): string => generateSettingsSchema.shape[name].description ?? "";
      const rows: readonly Entry[] = [
        ...[...byCommand].map(([command, name]) => [`${command} ${settings[name]}`, purposeOf(name)] as const),
        ...Object.entries(others),
      ];
      return [...about.flatMap((line) => wrapText(line, width)), "", ...entryLines(rows, width)];
    },
  };
};
