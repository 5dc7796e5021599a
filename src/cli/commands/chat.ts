import { type Command, Option } from "commander";
import { type ChatModel, checkChats } from "../../chat/conversation.node.ts";
import { systemOfTemplate } from "../../chat/template-system.node.ts";
import { parseConfig } from "../../core/checks/config.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { generateDefaults, generateSettingsSchema } from "../../generate/options.ts";
import { checkThreadsOf } from "../flags/backend-choice.ts";
import {
  addConstraintFlags,
  type ConstraintFlags,
  checkConstraint,
  constraintFlagNames,
  constraintOf,
  givenConstraintFlags,
} from "../flags/constraint-flags.ts";
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
  weightsKept,
} from "../flags/flags.ts";
import { addSamplingFlags, type SamplingFlags, samplingOf } from "../flags/sampling-flags.ts";
import { addSpeculateFlag, type SpeculateFlag, speculationOf } from "../flags/speculate-flag.ts";
import { addToolsFlag, type ToolsFlag, toolFieldOf, toolsOf } from "../flags/tools-flag.ts";
import { addWeightsFlag, type WeightsFlag } from "../flags/weights-flag.ts";
import { notes } from "../help.ts";
import { findServerModel, modelPartner, serverPartner } from "../interactive/chat-partner.ts";
import { createChatSession } from "../interactive/chat-session.ts";
import { aboutModel, runInteractive } from "../interactive/loop.ts";
import { loadNamed, modelPlaces } from "../model/checkpoint-path.ts";
import { writeNotice } from "../process/output.ts";

interface ChatFlags
  extends RunningFlags,
    DTypeFlag,
    WeightsFlag,
    SamplingFlags,
    SpeculateFlag,
    ToolsFlag,
    ConstraintFlags {
  readonly system?: string;
  readonly maxNewTokens: number;
  readonly model?: string;
  readonly apiKey?: string;
}

/** The defaults of temperature and top-p are lower than in `generate`, so that answers stay on topic. */
const defaults = { maxNewTokens: 512, temperature: 0.5, topK: 0, topP: 0.9, minP: 0, seed: 1 } as const;

const examples = `
Examples:
  $ npx foretoken chat SmolLM2-135M-Instruct                    a conversation; /help lists its commands
  $ npx foretoken chat hf:HuggingFaceTB/SmolLM2-135M-Instruct   the same model, from the hub
  $ npx foretoken chat model.gguf --system "Answer in one sentence."
  $ npx foretoken chat http://127.0.0.1:8000                    a model on a server, such as foretoken serve
  $ npx foretoken chat model.gguf --tools tools.json            tool calls; you type their results
  $ npx foretoken chat model.gguf --json-schema person.json     each answer is JSON that fits a schema
  $ echo "Name three rivers." | npx foretoken chat model.gguf --temperature 0

The model must have been trained on conversations and have a chat template. Each line that you type is a
message. Ctrl-C ends an answer; Ctrl-C at the prompt ends the program.`;

const hint = "type a message, or /help";

/** Flags that apply only to a model in this process. */
const flagsOfModels = [
  "weights",
  "adapter",
  "base",
  "baseCheck",
  "backend",
  "threads",
  "dtype",
  "widen",
  "speculate",
  "tools",
  ...constraintFlagNames,
  "json",
] as const;

const hintOf = (given: (typeof flagsOfModels)[number]): { readonly hint: string } | undefined => {
  if (given === "json") return undefined;
  const isForm = constraintFlagNames.some((name) => name === given);
  return {
    hint: isForm
      ? "response_format in the request of a program"
      : "the same flag in the command that starts the server",
  };
};

/** @throws ConfigError for a flag that has no effect with a server. */
const checkServerFlags = (command: Command): void => {
  const given = flagsOfModels.find((name) => command.getOptionValueSource(name) === "cli");
  if (given === undefined) return;
  throw new ConfigError({
    where: given === "baseCheck" ? "--no-base-check" : flagOf(given),
    must: "works only with a model on this machine",
    got: "the address of a server",
    ...(hintOf(given) ?? {}),
  });
};

const runWithServer = async (address: string, flags: ChatFlags): Promise<void> => {
  const key = flags.apiKey ?? process.env.OPENAI_API_KEY;
  const server = await findServerModel(address, flags.model, key);
  const given = { ...generateDefaults, ...samplingOf(flags), maxNewTokens: flags.maxNewTokens };
  const settings = parseConfig(generateSettingsSchema, given, ([name = ""]) => flagOf(name));
  const session = createChatSession(serverPartner(server), { settings, system: flags.system }, writeNotice);
  await runInteractive([`${server.model} at ${server.url}`, hint], session, { json: false });
};

const runChat = async (path: string, flags: ChatFlags): Promise<void> => {
  if (flags.model !== undefined || flags.apiKey !== undefined) {
    throw new ConfigError({
      where: flags.model === undefined ? "--api-key" : "--model",
      must: "works only with the address of a server",
      got: path,
      hint: "http://127.0.0.1:8000",
    });
  }
  const { maxNewTokens, json, backend, threads } = flags;
  const given = { ...generateDefaults, ...samplingOf(flags), maxNewTokens };
  const settings = parseConfig(generateSettingsSchema, given, ([name = ""]) => flagOf(name));
  const tools = await toolsOf(flags);
  if (tools !== undefined && json === true) {
    throw new ConfigError({
      where: "--tools and --json",
      must: "cannot be combined: a person must read each tool call and type its result",
      got: "both",
      hint: "chatWithTools in a program, or foretoken serve",
    });
  }
  const constraint = await constraintOf(flags);
  const [form] = givenConstraintFlags(flags);
  if (tools !== undefined && form !== undefined) {
    throw new ConfigError({
      where: `--tools and ${flagOf(form)}`,
      must: "cannot be combined: only one flag may set the format of an answer",
      got: "both",
      hint: "foretoken serve, where a request can have response_format and tools",
    });
  }
  checkThreadsOf(flags);
  const { speculate, loading } = await speculationOf(flags);
  const { lm, directory, notices } = await loadNamed(path, flags, {
    backend,
    threads,
    ...weightsKept(flags),
    ...loading,
  });
  try {
    const template = checkChats(lm, directory);
    await checkConstraint(constraint, flags, lm.tokenizer);
    if (tools !== undefined) {
      // The modules for tools are imported only with --tools, because they include the engine and constraints.
      const { checkTools } = await import("../../chat/tools/turn.ts");
      checkTools(tools, lm.tokenizer, toolFieldOf(flags.tools ?? ""));
    }
    for (const line of notices) writeNotice(line);
    const { config, tokenizer, chatTemplate, endTokens } = lm;
    const partner: ChatModel & { readonly endTokens: readonly number[] } = {
      ...{ config, tokenizer, chatTemplate, endTokens },
      generate: (options) =>
        lm.generate({ ...options, ...(constraint === undefined ? {} : { constraint }), speculate }),
    };
    const start = { settings, system: flags.system, added: await systemOfTemplate(template) };
    const talking =
      tools === undefined
        ? modelPartner(partner, directory)
        : (await import("../interactive/tool-partner.ts")).toolPartner(partner, tools);
    const session = createChatSession(talking, start, writeNotice);
    await runInteractive([...aboutModel(lm), hint], session, { json: json === true });
  } finally {
    await lm.close();
  }
};

/** `foretoken chat`. */
export const declareChat = (command: Command): void => {
  command
    .usage("<model> [flags]")
    .argument(
      "<model>",
      `a model with a chat template: ${modelPlaces}; or the address of a server that uses OpenAI's protocol`,
      parsePath("<model>"),
    )
    .optionsGroup("Text: the system message, and the length of an answer")
    .addOption(
      new Option(
        "--system <text>",
        "system message: instructions before the conversation (default: the system message of the chat template)",
      ).argParser(parseText("--system")),
    )
    .option(
      "--max-new-tokens <n>",
      "maximum number of tokens in an answer",
      parseNumber("--max-new-tokens"),
      defaults.maxNewTokens,
    );
  addConstraintFlags(addToolsFlag(command), "Format: a rule that each answer must follow");
  addSamplingFlags(command, defaults)
    .optionsGroup("Server: for a model on a server")
    .option("--model <id>", "the model's id on the server (default: the server's only model)", parsePath("--model"))
    .option(
      "--api-key <key>",
      "the server's API key (default: the environment variable OPENAI_API_KEY)",
      parsePath("--api-key"),
    );
  addSpeculateFlag(addDTypeFlag(addRunningFlags(addWeightsFlag(command))))
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (path: string, flags: ChatFlags) => {
      checkArguments(command);
      if (!/^https?:\/\//iu.test(path)) return runChat(path, flags);
      checkServerFlags(command);
      await runWithServer(path, flags);
    });
};
