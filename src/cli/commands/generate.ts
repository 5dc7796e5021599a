import { type Command, Option } from "commander";
import { parseConfig } from "../../core/config.ts";
import { ConfigError } from "../../core/errors.ts";
import { generateDefaults, generateSettingsSchema } from "../../generate/generate.ts";
import { chooseBackend } from "../backend-choice.ts";
import { loadNamed } from "../checkpoint-path.ts";
import { defaultPrompt } from "../default-prompt.ts";
import { shownText, writeGenerated } from "../display/texts/generated.ts";
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
} from "../flags.ts";
import { runInteractive } from "../interactive/loop.ts";
import { createSession } from "../interactive/session.ts";
import { onInterrupt } from "../interrupt.ts";
import { onOutputEnd, writeNotice, writeOut } from "../output.ts";
import { addWeightsFlag, type WeightsFlag } from "../weights-flag.ts";

interface GenerateFlags extends RunningFlags, DTypeFlag, WeightsFlag {
  readonly prompt?: string;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly seed: number;
  readonly stop: readonly string[];
  readonly showSpecialTokens: boolean;
  readonly cache: boolean;
  readonly interactive?: true;
}

const examples = `
Examples:
  $ npx foretoken generate runs/notes --prompt "ROMEO:"
  $ npx foretoken generate runs/notes --prompt "To be" --temperature 0              the likeliest text
  $ npx foretoken generate runs/notes --weights last                             not those with the lowest loss
  $ npx foretoken generate runs/notes --prompt "JULIET:\\n" --stop "\\n\\n" --seed 2   until the next speech
  $ npx foretoken generate runs/notes --max-new-tokens 50 --json | jq .text
  $ npx foretoken generate runs/notes --interactive                              line by line; /help says how
  $ npx foretoken generate runs/notes --interactive < prompts.txt                a prompt a line

The model sees its context length: the last tokens of the prompt and of what it wrote itself.`;

const runGenerate = async (path: string, flags: GenerateFlags): Promise<void> => {
  const { maxNewTokens, temperature, topK, topP, minP, seed, stop, showSpecialTokens, cache } = flags;
  const { json, threads, dtype } = flags;
  const given = { maxNewTokens, temperature, topK, topP, minP, seed, stop, showSpecialTokens };
  const settings = parseConfig(generateSettingsSchema, given, ([name = ""]) => flagOf(name));
  if (flags.prompt === "") {
    throw new ConfigError({ where: "--prompt", must: "must have at least one character", got: '""', hint: '"\\n"' });
  }
  const { backend, remark } = await chooseBackend(flags);
  const { lm, directory, notices } = await loadNamed(path, flags.weights, { backend, threads, dtype });
  const tellChoices = (): void => {
    for (const line of [remark, ...notices]) if (line !== undefined) writeNotice(line);
  };
  if (flags.interactive === true) {
    tellChoices();
    try {
      await runInteractive(lm, createSession(lm, settings, cache), json === true);
    } finally {
      await lm.close();
    }
    return;
  }
  const interrupt = onInterrupt(() => {});
  onOutputEnd(interrupt.abort);
  try {
    const prompt = flags.prompt ?? (await defaultPrompt(lm.tokenizer, directory));
    // Now, and not after the prompt has been printed.
    lm.tokenizer.encode(prompt, "--prompt");
    // After all checks of the input, so that a mistake gives one line only.
    tellChoices();
    if (json !== true) writeOut(shownText(prompt));
    const events = lm.generate({ ...settings, prompt, cache, signal: interrupt.signal });
    const finishReason = await writeGenerated(events, json === true);
    if (finishReason === "aborted") process.exitCode = interrupt.status();
  } finally {
    interrupt.release();
    await lm.close();
  }
};

/** `foretoken generate`. */
export const declareGenerate = (command: Command): void => {
  const { maxNewTokens, temperature, topK, topP, minP, seed } = generateDefaults;
  const number = (flag: string) => parseNumber(flag);
  const parseStop = (text: string, earlier: readonly string[]): readonly string[] => [
    ...earlier,
    parseText("--stop")(text),
  ];
  command
    .usage("<checkpoint> [flags]")
    .argument("<checkpoint>", "a directory that train wrote, or a run's folder", parsePath("<checkpoint>"))
    .optionsGroup("Text:")
    .addOption(
      new Option(
        "--prompt <text>",
        "what to continue; \\n, \\t and \\\\ are interpreted (default: a line end; where the model knows none, what its run's samples continue; else its first token)",
      ).argParser(parseText("--prompt")),
    )
    .option("-i, --interactive", "take prompts line by line, from the terminal or a pipe")
    .option("--max-new-tokens <n>", "tokens to write", number("--max-new-tokens"), maxNewTokens)
    .addOption(
      new Option("--stop <text>", "end before this text, with \\n, \\t and \\\\; may be given again")
        .default([], "none")
        .argParser(parseStop),
    )
    .option("--show-special-tokens", "write special tokens, as the end of a text, by their names", false)
    .optionsGroup("Sampling:")
    .option(
      "--temperature <x>",
      "divides the logits; 0 takes the likeliest token",
      number("--temperature"),
      temperature,
    )
    .option("--top-k <n>", "only the k likeliest tokens; 0: all", number("--top-k"), topK)
    .option("--top-p <x>", "only the likeliest that together reach this probability; 1: all", number("--top-p"), topP)
    .option("--min-p <x>", "none less likely than this times the likeliest; 0: all", number("--min-p"), minP)
    .option("--seed <n>", "same seed, same text", number("--seed"), seed);
  addDTypeFlag(addRunningFlags(addWeightsFlag(command)))
    .option("--no-cache", "compute every token from the start: same text, slower")
    .addHelpText("after", examples)
    .allowExcessArguments()
    .action(async (path: string, flags: GenerateFlags) => {
      checkArguments(command);
      if (flags.interactive === true && command.getOptionValueSource("prompt") === "cli") {
        throw new ConfigError({
          where: "--prompt and --interactive",
          must: "only one of them may say what to continue",
          got: "both",
          hint: "one of them",
        });
      }
      await runGenerate(path, flags);
    });
};
