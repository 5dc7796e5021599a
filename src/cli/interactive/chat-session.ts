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
  "/system": "what the model is told before the conversation; shows it, or begins afresh with another",
  "/again": "another answer to the last message, with the next seed",
  "/reset": "a new conversation, with the settings as they were at the start",
  "/help": "this page",
  "/quit": "the end",
};

const about = [
  "A line is a message; the model answers it, and remembers what was said.",
  "While it answers, an empty line or Ctrl-C ends the answer; at the prompt Ctrl-C, like Ctrl-D, is the end.",
  "In a line \\n is a line end, \\t a tab and \\\\ a backslash. A message that begins with / is written with //.",
];

/** Settings of a conversation: a model with a chat template reads any character. */
const names = settingNames.filter((name) => name !== "unknown");

const beforeLastAnswer = (messages: readonly ToolMessage[]): readonly ToolMessage[] => {
  const last = messages.findLastIndex(({ role }) => role === "assistant");
  return last < 0 ? [] : messages.slice(0, last);
};

/** What a conversation begins with. */
export interface ChatStart {
  readonly settings: Settings;
  /** The first message, of the system; undefined: the template decides. */
  readonly system: string | undefined;
}

/**
 * A session that is a conversation: each line is a message, which the model answers.
 * @param tell shows a line to the user, beside the answers.
 * @param width columns for the lines of `/help`.
 */
export const createChatSession = (
  partner: ChatPartner,
  { settings: first, system: firstSystem }: ChatStart,
  tell: (line: string) => void,
  width: () => number = helpColumns,
): Session => {
  const settings = sessionSettings(first, names, otherCommands);
  let system = firstSystem;
  let messages: readonly ToolMessage[] = [];
  /** Calls whose results are not typed yet. */
  let calls: readonly ToolCall[] = [];
  /** Messages that no longer fit, as last told. */
  let told = 0;

  const begin = (): void => {
    messages = [];
    calls = [];
    told = 0;
  };

  /** Answers the last of `said`, and remembers both once the answer has ended. */
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
          // An answer that was stopped is remembered as far as it came.
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
    const cut = `the answer was cut at ${formatPlural(maxNewTokens, "token")}: --max-new-tokens, or /max-new-tokens here, allows more`;
    return { kind: "write", prompt: "", events: answered(), showSpecialTokens, skipped: undefined, cut };
  };

  const askForResult = (): readonly string[] =>
    calls.slice(0, 1).map(({ name }) => `the result of ${name}, in a line:`);

  /** Takes the result of the first call; after that of the last one the model goes on. */
  const takeResult = ({ id }: ToolCall, content: string, signal: AbortSignal): Request => {
    messages = [...messages, { role: "tool", toolCallId: id, content }];
    calls = calls.slice(1);
    return calls.length > 0 ? { kind: "tell", lines: askForResult() } : answer(messages, seedNow(messages), signal);
  };

  /** Each answer has its own seed. */
  const seedNow = (said: readonly ToolMessage[]): number => settings.current().seed + Math.floor(said.length / 2);

  const runCommand = (line: string, signal: AbortSignal): Request => {
    const typed = parseCommand(line);
    const { command, argument } = typed;
    const lines = settings.run(typed);
    if (lines !== undefined) return { kind: "tell", lines };
    if (command in otherCommands && command !== "/system" && argument !== "") {
      throw new ConfigError({ where: command, must: "nothing may follow", got: JSON.stringify(argument) });
    }
    switch (command) {
      case "/system":
        if (argument === "") return { kind: "tell", lines: [system === undefined ? "none of yours" : system] };
        system = parseText("/system")(argument);
        begin();
        return { kind: "tell", lines: ["a new conversation"] };
      case "/again": {
        const said = beforeLastAnswer(messages);
        if (said.length === 0) {
          throw new ConfigError({
            where: command,
            must: "there must be an answer",
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
        return { kind: "tell", lines: ["a new conversation"] };
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
