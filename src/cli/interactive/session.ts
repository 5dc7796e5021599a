import { parseConfig } from "../../core/config.ts";
import { ConfigError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import { type GenerateEvent, generateSettingsSchema } from "../../generate/generate.ts";
import { fromWholeCharacter } from "../../tokenizer/text-stream.ts";
import type { WorkerModel } from "../../worker/model.node.ts";
import { flagOf, parseNumber, parseText } from "../flags.ts";

/** Settings that decide the text, besides the prompt. */
export type Settings = Required<ReturnType<typeof generateSettingsSchema.parse>>;

/** A model as a session uses it. */
export type Writer = Pick<WorkerModel, "config" | "tokenizer" | "generate">;

/** The request of a line. */
export type Request =
  | { readonly kind: "write"; readonly prompt: string; readonly events: AsyncIterable<GenerateEvent> }
  /** Lines to show. */
  | { readonly kind: "tell"; readonly lines: readonly string[] }
  | { readonly kind: "quit" };

/** A session with a model, line by line. It remembers the text so far and the settings. */
export interface Session {
  /**
   * The request of a line. `signal` interrupts the generation.
   * @throws ForetokenError for a request that is not possible; the session is then as before.
   */
  ask(line: string, signal: AbortSignal): Request;
  /** All commands, for completion. */
  readonly commands: readonly string[];
}

const numericSettings = ["temperature", "topK", "topP", "minP", "maxNewTokens", "seed"] as const;
type NumericSetting = (typeof numericSettings)[number];

const commandOf = (name: string): string => flagOf(name).replace("--", "/");
const settingCommands: ReadonlyMap<string, NumericSetting> = new Map(
  numericSettings.map((name) => [commandOf(name), name]),
);
const otherCommands: Readonly<Record<string, string>> = {
  "/again": "the last prompt once more, with the next seed",
  "/reset": "the settings as they were at the start, and no text",
  "/help": "this page",
  "/quit": "the end",
};
const commands: readonly string[] = [...settingCommands.keys(), ...Object.keys(otherCommands)];

const helpLines = (settings: Settings): readonly string[] => {
  const about = (name: NumericSetting): string => generateSettingsSchema.shape[name].description ?? "";
  const rows: readonly (readonly [string, string])[] = [
    ...[...settingCommands].map(([command, name]) => [`${command} ${settings[name]}`, about(name)] as const),
    ...Object.entries(otherCommands),
  ];
  const wide = Math.max(...rows.map(([command]) => command.length));
  return [
    "A line is a prompt of its own: the model starts afresh with it and goes on.",
    "An empty line lets the model go on with the text so far.",
    "While it writes, an empty line or Ctrl-C stops it; at the prompt Ctrl-C, like Ctrl-D, is the end.",
    "In a line \\n is a line end, \\t a tab and \\\\ a backslash. A text that begins with / is written with //.",
    "",
    ...rows.map(([command, purpose]) => `  ${command.padEnd(wide)}  ${purpose}`),
  ];
};

/** @param cache as in `generate`. */
export const createSession = (lm: Writer, first: Settings, cache: boolean): Session => {
  const { contextLength } = lm.config;
  let settings = first;
  let lastPrompt: string | undefined;
  /** The text that an empty line continues: as much as the model sees. */
  let text = "";
  /** Each continuation has its own seed, or it might repeat the one before. */
  let passages = 0;

  const tail = (whole: string): string => {
    const seen = lm.tokenizer.encode(whole, "prompt").slice(-contextLength);
    return lm.tokenizer.decode(fromWholeCharacter(lm.tokenizer, seen));
  };

  const write = (prompt: string, seed: number, signal: AbortSignal): Request => {
    // Now, before any of a prompt with an unknown character is shown.
    text = tail(prompt);
    const from = text;
    async function* events(): AsyncGenerator<GenerateEvent, void, undefined> {
      for await (const event of lm.generate({ ...settings, seed, prompt: from, cache, signal })) {
        if (event.type === "done") text = tail(from + event.text);
        yield event;
      }
    }
    return { kind: "write", prompt, events: events() };
  };

  const startAfresh = (prompt: string, signal: AbortSignal): Request => {
    const request = write(prompt, settings.seed, signal);
    lastPrompt = prompt;
    passages = 0;
    return request;
  };

  const nothingYet = (command: string): ConfigError =>
    new ConfigError({ where: command, must: "there must be a text to go on with", got: "none yet", hint: "a prompt" });

  const change = (command: string, name: NumericSetting, argument: string): Request => {
    if (argument !== "") {
      const changed = { ...settings, [name]: parseNumber(command)(argument) };
      settings = parseConfig(generateSettingsSchema, changed, ([field = ""]) => commandOf(field));
    }
    return { kind: "tell", lines: [`${command} ${settings[name]}`] };
  };

  const runCommand = (line: string, signal: AbortSignal): Request => {
    const [command = "", ...words] = line.trim().split(/\s+/u);
    const argument = words.join(" ");
    const setting = settingCommands.get(command);
    if (setting !== undefined) return change(command, setting, argument);
    if (command in otherCommands && argument !== "") {
      throw new ConfigError({ where: command, must: "nothing may follow", got: JSON.stringify(argument) });
    }
    switch (command) {
      case "/again":
        if (lastPrompt === undefined) throw nothingYet(command);
        settings = { ...settings, seed: settings.seed + 1 };
        return startAfresh(lastPrompt, signal);
      case "/reset":
        settings = first;
        text = "";
        lastPrompt = undefined;
        return { kind: "tell", lines: ["as at the start"] };
      case "/help":
        return { kind: "tell", lines: helpLines(settings) };
      case "/quit":
        return { kind: "quit" };
      default:
        throw new ConfigError({
          where: "command",
          must: "must be a known one",
          got: JSON.stringify(command),
          hint: `${nearest(command, commands) ?? "/help"}, or // to begin a text with /`,
        });
    }
  };

  return {
    commands,
    ask(line, signal) {
      if (line.startsWith("/") && !line.startsWith("//")) return runCommand(line, signal);
      if (line === "") {
        if (text === "") throw nothingYet("empty line");
        passages++;
        const request = write(text, settings.seed + passages, signal);
        return { ...request, prompt: "" } as Request;
      }
      return startAfresh(parseText("prompt")(line.startsWith("//") ? line.slice(1) : line), signal);
    },
  };
};
