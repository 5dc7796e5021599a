import { ConfigError } from "../../core/errors/errors.ts";
import type { GenerateEvent } from "../../generate/events.ts";
import { readPrompt } from "../../generate/options.ts";
import { fromWholeCharacter } from "../../tokenizer/text-stream.ts";
import type { SkippedText } from "../../tokenizer/unknown.ts";
import type { WorkerModel } from "../../worker/model.node.ts";
import { parseText } from "../flags/flags.ts";
import { helpColumns } from "../help.ts";
import { parseCommand, type Settings, sessionSettings, settingNames } from "./settings.ts";

/** The parts of a model that a session needs. */
export type Writer = Pick<WorkerModel, "config" | "tokenizer" | "generate">;

/** The action for a typed line. */
export type Request =
  | {
      readonly kind: "write";
      readonly prompt: string;
      readonly events: AsyncIterable<GenerateEvent>;
      /** As in the options of `generate`. */
      readonly showSpecialTokens: boolean;
      /** Characters of the line that were left out. */
      readonly skipped: SkippedText | undefined;
      /** Line to print if the text ends because of `maxNewTokens`. If absent, no line is printed. */
      readonly cut?: string;
    }
  /** Lines to print. */
  | { readonly kind: "tell"; readonly lines: readonly string[] }
  | { readonly kind: "quit" };

/** A line-by-line session with a model. The session keeps the text so far and the settings. */
export interface Session {
  /**
   * Handles a line. `signal` interrupts the text.
   * @throws ForetokenError for an impossible request; the session stays unchanged.
   */
  ask(line: string, signal: AbortSignal): Request;
  /** All commands, for completion. */
  readonly commands: readonly string[];
}

const otherCommands: Readonly<Record<string, string>> = {
  "/again": "run the last prompt again, with the next seed",
  "/reset": "restore the initial settings and forget the text",
  "/help": "show this page",
  "/quit": "end the program",
};

const about = [
  "Each line is a new prompt: the model continues it and forgets earlier text.",
  "After an empty line, the model continues the text so far.",
  "An empty line or Ctrl-C stops the model while it writes; at the prompt, Ctrl-C and Ctrl-D end the program.",
  "In a line, \\n is a line end, \\t a tab and \\\\ a backslash. To begin a text with /, type //.",
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
  /** The text that an empty line continues. The text contains only the last tokens, at most the context length. */
  let text = "";
  /**
   * Number of continuations so far. Each continuation gets its own seed, because the same seed would repeat the
   * previous text.
   */
  let passages = 0;

  const tail = (ids: Int32Array): string =>
    lm.tokenizer.decode(fromWholeCharacter(lm.tokenizer, ids.slice(-contextLength)));

  const write = (prompt: string, seed: number, signal: AbortSignal): Extract<Request, { kind: "write" }> => {
    // Checks the prompt before any of it is printed.
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
    new ConfigError({ where: command, must: "needs a text to continue", got: "none yet", hint: "a prompt" });

  const runCommand = (line: string, signal: AbortSignal): Request => {
    const typed = parseCommand(line);
    const { command, argument } = typed;
    const lines = settings.run(typed);
    if (lines !== undefined) return { kind: "tell", lines };
    if (command in otherCommands && argument !== "") {
      throw new ConfigError({ where: command, must: "must have no argument", got: JSON.stringify(argument) });
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
        return { kind: "tell", lines: ["restored the initial settings; the text is empty"] };
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
