import { type Command, Option } from "commander";
import { checkChats } from "../../chat/conversation.node.ts";
import { parseConfig } from "../../core/checks/config.ts";
import { generateDefaults, generateSettingsSchema } from "../../generate/options.ts";
import { chooseBackend } from "../flags/backend-choice.ts";
import {
  addDTypeFlag,
  addRunningFlags,
  checkArguments,
  type DTypeFlag,
  flagOf,
  parseNumber,
  parsePath,
  parseText,
  type RunningFlags,
} from "../flags/flags.ts";
import { addSamplingFlags, type SamplingFlags, samplingOf } from "../flags/sampling-flags.ts";
import { addWeightsFlag, type WeightsFlag } from "../flags/weights-flag.ts";
import { notes } from "../help.ts";
import { createChatSession } from "../interactive/chat-session.ts";
import { runInteractive } from "../interactive/loop.ts";
import { loadNamed, modelPlaces } from "../model/checkpoint-path.ts";
import { writeNotice } from "../process/output.ts";

interface ChatFlags extends RunningFlags, DTypeFlag, WeightsFlag, SamplingFlags {
  readonly system?: string;
  readonly maxNewTokens: number;
}

/** An answer is likelier to be to the point than a text that is invented. */
const defaults = { maxNewTokens: 512, temperature: 0.5, topK: 0, topP: 0.9, minP: 0, seed: 1 } as const;

const examples = `
Examples:
  $ npx foretoken chat SmolLM2-135M-Instruct                    a conversation; /help says how
  $ npx foretoken chat hf:HuggingFaceTB/SmolLM2-135M-Instruct   the same, from the hub
  $ npx foretoken chat model.gguf --system "Answer in one sentence."
  $ echo "Name three rivers." | npx foretoken chat model.gguf --temperature 0

The model is one that was trained on conversations, and has a chat template. Each line is a
message. Ctrl-C ends an answer; a second one, at the prompt, ends the program.`;

const runChat = async (path: string, flags: ChatFlags): Promise<void> => {
  const { maxNewTokens, json, threads, dtype } = flags;
  const given = { ...generateDefaults, ...samplingOf(flags), maxNewTokens };
  const settings = parseConfig(generateSettingsSchema, given, ([name = ""]) => flagOf(name));
  const { backend, remark } = await chooseBackend(flags);
  const { lm, directory, notices } = await loadNamed(path, flags, { backend, threads, dtype });
  try {
    checkChats(lm, directory);
    for (const line of [remark, ...notices]) if (line !== undefined) writeNotice(line);
    const start = { settings, system: flags.system, where: directory };
    const session = createChatSession(lm, start, writeNotice);
    await runInteractive(lm, session, { json: json === true }, "type a message, or /help");
  } finally {
    await lm.close();
  }
};

/** `foretoken chat`. */
export const declareChat = (command: Command): void => {
  command
    .usage("<model> [flags]")
    .argument("<model>", `a model with a chat template: ${modelPlaces}`, parsePath("<model>"))
    .optionsGroup("Text: what the model is told, and how much it may answer")
    .addOption(
      new Option(
        "--system <text>",
        "what the model is told before the conversation (default: what its template says)",
      ).argParser(parseText("--system")),
    )
    .option("--max-new-tokens <n>", "most tokens of an answer", parseNumber("--max-new-tokens"), defaults.maxNewTokens);
  addSamplingFlags(command, defaults);
  addDTypeFlag(addRunningFlags(addWeightsFlag(command)))
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (path: string, flags: ChatFlags) => {
      checkArguments(command);
      await runChat(path, flags);
    });
};
