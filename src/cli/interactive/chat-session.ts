import { systemInWords } from "../../chat/template-system.node.ts";
import type { ToolCall, ToolMessage } from "../../chat/tools/tools.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import type { GenerateEvent } from "../../generate/events.ts";
import { formatPlural } from "../display/texts/format.ts";
import { parseText } from "../flags/flags.ts";
import { helpColumns } from "../help.ts";
import type { ChatPartner } from "./chat-partner.ts";
import type { Request, Session } from "./session.ts";
import { parseCommand, type Settings, sessionSettings, settingNames } from "./settings.ts";

const otherCommands: Readonly<Record<string, string>> = {
  "/system": "show the system message; with a text: start a new conversation with this system message",
  "/again": "answer the last message again, with the next seed",
  "/reset": "start a new conversation with the initial settings",
  "/help": "show this page",
  "/quit": "end the program",
};

const about = [
  "Each line is a message; the model answers it and remembers the conversation.",
  "An empty line or Ctrl-C stops the model while it answers; at the prompt, Ctrl-C and Ctrl-D end the program.",
  "In a line, \\n is a line end, \\t a tab and \\\\ a backslash. To begin a message with /, type //.",
];

/** Settings that can be changed. `unknown` is left out, because a model with a chat template can read any character. */
const names = settingNames.filter((name) => name !== "unknown");

const beforeLastAnswer = (messages: readonly ToolMessage[]): readonly ToolMessage[] => {
  const last = messages.findLastIndex(({ role }) => role === "assistant");
  return last < 0 ? [] : messages.slice(0, last);
};

/** Start of a conversation. */
export interface ChatStart {
  readonly settings: Settings;
  /** Text of the system message. If undefined, the chat template decides. */
  readonly system: string | undefined;
  /** As from `systemOfTemplate`. */
  readonly added?: string | null | undefined;
}

/**
 * Creates a session in which each line is a message to the model.
 * @param tell prints a line for the user, separate from the answers.
 * @param width columns for the lines of `/help`.
 */
export const createChatSession = (
  partner: ChatPartner,
  { settings: first, system: firstSystem, added }: ChatStart,
  tell: (line: string) => void,
  width: () => number = helpColumns,
): Session => {
  const settings = sessionSettings(first, names, otherCommands);
  let system = firstSystem;
  let messages: readonly ToolMessage[] = [];
  /** Tool calls without a result: the user has not typed the result yet. */
  let calls: readonly ToolCall[] = [];
  /** Number of messages that no longer fit, according to the last notice to the user. */
  let told = 0;

  const begin = (): void => {
    messages = [];
    calls = [];
    told = 0;
  };

  /** Answers the last message of `said`. Stores the message and the answer when the answer has ended. */
  const answer = (said: readonly ToolMessage[], seed: number, signal: AbortSignal): Request => {
    async function* answered(): AsyncGenerator<GenerateEvent, void, undefined> {
      const start: readonly ToolMessage[] = system === undefined ? [] : [{ role: "system", content: system }];
      const conversation = [...start, ...said];
      const request = { messages: conversation, settings: settings.current(), seed, atLeast: told, signal };
      const { dropped, events, message } = await partner.answer(request);
      const tellDropped = (): void => {
        if (dropped() > told)
          tell(`the conversation is longer than the context: the first ${dropped()} messages are left out`);
        told = Math.max(told, dropped());
      };
      tellDropped();
      for await (const event of events) {
        if (event.type === "done") {
          // If the user stopped an answer, its text so far is stored.
          const own = message?.() ?? ({ role: "assistant", content: event.text } as const);
          messages = [...said, own];
          calls = "toolCalls" in own ? own.toolCalls : [];
        }
        yield event;
      }
      tellDropped();
      for (const line of askForResult()) tell(line);
    }
    const { showSpecialTokens, maxNewTokens } = settings.current();
    const cut = `the answer was cut off at ${formatPlural(maxNewTokens, "token")}: --max-new-tokens, or /max-new-tokens here, allows more`;
    return { kind: "write", prompt: "", events: answered(), showSpecialTokens, skipped: undefined, cut };
  };

  const askForResult = (): readonly string[] =>
    calls.slice(0, 1).map(({ name }) => `type the result of ${name} in one line:`);

  /** Stores the result of the first open call. After the last result, the model continues. */
  const takeResult = ({ id }: ToolCall, content: string, signal: AbortSignal): Request => {
    messages = [...messages, { role: "tool", toolCallId: id, content }];
    calls = calls.slice(1);
    return calls.length > 0 ? { kind: "tell", lines: askForResult() } : answer(messages, seedNow(messages), signal);
  };

  /** Each answer gets its own seed. */
  const seedNow = (said: readonly ToolMessage[]): number => settings.current().seed + Math.floor(said.length / 2);

  const runCommand = (line: string, signal: AbortSignal): Request => {
    const typed = parseCommand(line);
    const { command, argument } = typed;
    const lines = settings.run(typed);
    if (lines !== undefined) return { kind: "tell", lines };
    if (command in otherCommands && command !== "/system" && argument !== "") {
      throw new ConfigError({ where: command, must: "must have no argument", got: JSON.stringify(argument) });
    }
    switch (command) {
      case "/system":
        if (argument === "") return { kind: "tell", lines: [system ?? systemInWords(added)] };
        system = parseText("/system")(argument);
        begin();
        return { kind: "tell", lines: ["started a new conversation"] };
      case "/again": {
        const said = beforeLastAnswer(messages);
        if (said.length === 0) {
          throw new ConfigError({
            where: command,
            must: "needs an earlier answer",
            got: "none yet",
            hint: "a message",
          });
        }
        settings.replace({ ...settings.current(), seed: settings.current().seed + 1 });
        return answer(said, seedNow(said), signal);
      }
      case "/reset":
        settings.replace(first);
        system = firstSystem;
        begin();
        return { kind: "tell", lines: ["started a new conversation"] };
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
      if (line.trim() === "") return { kind: "tell", lines: [] };
      const content = parseText("message")(line.startsWith("//") ? line.slice(1) : line);
      const [call] = calls;
      if (call !== undefined) return takeResult(call, content, signal);
      const said: readonly ToolMessage[] = [...messages, { role: "user", content }];
      return answer(said, seedNow(said), signal);
    },
  };
};
