import { ConfigError } from "../../core/errors/errors.ts";
import type { GenerateEvent } from "../../generate/events.ts";
import { readPrompt } from "../../generate/options.ts";
import { fromWholeCharacter } from "../../tokenizer/text-stream.ts";
import type { SkippedText } from "../../tokenizer/unknown.ts";
import type { WorkerModel } from "../../worker/model.node.ts";
import { parseText } from "../flags/flags.ts";
import { helpColumns } from "../help.ts";
import { parseCommand, type Settings, sessionSettings, settingNames } from "./settings.ts";

/** A model as a session uses it. */
export type Writer = Pick<WorkerModel, "config" | "tokenizer" | "generate">;

/** The request of a line. */
export type Request =
  | {
      readonly kind: "write";
      readonly prompt: string;
      readonly events: AsyncIterable<GenerateEvent>;
      /** As in the options of the events. */
      readonly showSpecialTokens: boolean;
      /** What was left out of the line. */
      readonly skipped: SkippedText | undefined;
      /** A line for people below a text that ended at its most tokens. Absent: such an end is as expected. */
      readonly cut?: string;
    }
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

const otherCommands: Readonly<Record<string, string>> = {
  "/again": "the last prompt once more, with the next seed",
  "/reset": "the settings as they were at the start, and no text",
  "/help": "this page",
  "/quit": "the end",
};

const about = [
  "A line is a prompt of its own: the model starts afresh with it and goes on.",
  "An empty line lets the model go on with the text so far.",
  "While it writes, an empty line or Ctrl-C stops it; at the prompt Ctrl-C, like Ctrl-D, is the end.",
  "In a line \\n is a line end, \\t a tab and \\\\ a backslash. A text that begins with / is written with //.",
];

/**
 * @param cache as in `generate`.
 * @param width columns for the lines of `/help`.
 */
export const createSession = (
  lm: Writer,
  first: Settings,
  cache: boolean,
  width: () => number = helpColumns,
): Session => {
  const { contextLength } = lm.config;
  const settings = sessionSettings(first, settingNames, otherCommands);
  let lastPrompt: string | undefined;
  /** The text that an empty line continues: as much as the model sees. */
  let text = "";
  /** Each continuation has its own seed, or it might repeat the one before. */
  let passages = 0;

  const tail = (ids: Int32Array): string =>
    lm.tokenizer.decode(fromWholeCharacter(lm.tokenizer, ids.slice(-contextLength)));

  const write = (prompt: string, seed: number, signal: AbortSignal): Extract<Request, { kind: "write" }> => {
    // Now, before any of a prompt with an unknown character is shown.
    const read = readPrompt(lm.tokenizer, prompt, settings.current().unknown, "prompt", "/unknown skip");
    const { skipped } = read;
    text = tail(read.ids);
    const from = text;
    async function* events(): AsyncGenerator<GenerateEvent, void, undefined> {
      for await (const event of lm.generate({ ...settings.current(), seed, prompt: from, cache, signal })) {
        if (event.type === "done") text = tail(lm.tokenizer.encode(from + event.text));
        yield event.type === "done" && skipped !== undefined ? { ...event, skipped } : event;
      }
    }
    const { showSpecialTokens } = settings.current();
    return { kind: "write", prompt: read.text, events: events(), showSpecialTokens, skipped };
  };

  const startAfresh = (prompt: string, signal: AbortSignal): Request => {
    const request = write(prompt, settings.current().seed, signal);
    lastPrompt = prompt;
    passages = 0;
    return request;
  };

  const nothingYet = (command: string): ConfigError =>
    new ConfigError({ where: command, must: "there must be a text to go on with", got: "none yet", hint: "a prompt" });

  const runCommand = (line: string, signal: AbortSignal): Request => {
    const typed = parseCommand(line);
    const { command, argument } = typed;
    const lines = settings.run(typed);
    if (lines !== undefined) return { kind: "tell", lines };
    if (command in otherCommands && argument !== "") {
      throw new ConfigError({ where: command, must: "nothing may follow", got: JSON.stringify(argument) });
    }
    switch (command) {
      case "/again":
        if (lastPrompt === undefined) throw nothingYet(command);
        settings.replace({ ...settings.current(), seed: settings.current().seed + 1 });
        return startAfresh(lastPrompt, signal);
      case "/reset":
        settings.replace(first);
        text = "";
        lastPrompt = undefined;
        return { kind: "tell", lines: ["as at the start"] };
      case "/help":
        return { kind: "tell", lines: settings.help(about, width()) };
      case "/quit":
        return { kind: "quit" };
      default:
        throw settings.unknown(typed);
    }
  };

  return {
    commands: settings.commands,
    ask(line, signal) {
      if (line.startsWith("/") && !line.startsWith("//")) return runCommand(line, signal);
      if (line === "") {
        if (text === "") throw nothingYet("empty line");
        passages++;
        return { ...write(text, settings.current().seed + passages, signal), prompt: "" };
      }
      return startAfresh(parseText("prompt")(line.startsWith("//") ? line.slice(1) : line), signal);
    },
  };
};
