import { type Command, Option } from "commander";
import { parseConfig } from "../../core/checks/config.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { oneLine } from "../../core/text/one-line.ts";
import { commandLine } from "../../core/text/shell-word.ts";
import { checkSlide, generateDefaults, generateSettingsSchema, readPrompt } from "../../generate/options.ts";
import { filterNames } from "../../generate/sampling/settings.ts";
import { describeSkipped, type UnknownChoice } from "../../tokenizer/unknown.ts";
import type { WorkerModel } from "../../worker/model.node.ts";
import { formatPlural } from "../display/texts/format.ts";
import { type EventText, shownText, writeGenerated } from "../display/texts/generated.ts";
import { type ProbabilityStyle, probabilityLegend, probabilityText } from "../display/texts/probabilities.ts";
import { checkThreadsOf } from "../flags/backend-choice.ts";
import {
  addConstraintFlags,
  type ConstraintFlags,
  checkConstraint,
  constraintFlagNames,
  constraintOf,
} from "../flags/constraint-flags.ts";
import {
  addDTypeFlag,
  addRunningFlags,
  checkArguments,
  type DTypeFlag,
  expecting,
  flagOf,
  parseInteger,
  parseNumber,
  parsePath,
  parseText,
  type RunningFlags,
  weightsKept,
} from "../flags/flags.ts";
import { addSamplingFlags, type SamplingFlags, samplingOf } from "../flags/sampling-flags.ts";
import { addSpeculateFlag, type SpeculateFlag, speculationOf } from "../flags/speculate-flag.ts";
import { addUnknownFlag } from "../flags/unknown-flag.ts";
import { addWeightsFlag, type WeightsFlag } from "../flags/weights-flag.ts";
import { notes } from "../help.ts";
import type { Writer } from "../interactive/session.ts";
import { loadNamed, modelPlaces, runOfModel } from "../model/checkpoint-path.ts";
import { promptFor } from "../model/default-prompt.ts";
import { host } from "../process/host.ts";
import { onInterrupt } from "../process/interrupt.ts";
import { onOutputEnd, writeJson, writeNotice, writeOut } from "../process/output.ts";
import { colorDepthFor, styleFor, terminalColumns } from "../process/terminal.ts";

interface GenerateFlags extends RunningFlags, DTypeFlag, WeightsFlag, SamplingFlags, ConstraintFlags, SpeculateFlag {
  readonly prompt?: string;
  readonly maxNewTokens: number;
  readonly stop: readonly string[];
  readonly showSpecialTokens: boolean;
  readonly showProbabilities: boolean;
  readonly unknown: UnknownChoice;
  readonly badWords: readonly string[];
  readonly samplers: readonly string[];
  readonly slide: number;
  readonly beams?: number;
  readonly cache: boolean;
  readonly interactive?: true;
  readonly prompts?: string;
  readonly out?: string;
}

const examples = `
Examples:
  $ npx foretoken generate runs/notes --prompt "ROMEO:"
  $ npx foretoken generate runs/notes --prompt "To be" --temperature 0              the likeliest text
  $ npx foretoken generate runs/notes --weights last                             the last weights instead of the best
  $ npx foretoken generate runs/notes --prompt "JULIET:\\n" --stop "\\n\\n" --seed 2   until the next speech
  $ npx foretoken generate runs/notes --max-new-tokens 50 --json | jq .text
  $ npx foretoken generate runs/notes --json-schema person.json                  JSON that fits a schema
  $ npx foretoken generate runs/notes --show-probabilities                       shows where the model was unsure
  $ npx foretoken generate runs/notes --interactive                              line by line; /help lists its commands
  $ npx foretoken generate runs/notes --interactive < prompts.txt                one prompt on each line
  $ npx foretoken generate runs/notes --prompts prompts.jsonl --out texts.jsonl  many texts at a time

The model sees only the last tokens of the prompt and of its own text: at most its context length.`;

/** Number of candidates per token in JSON events. */
const listedCandidates = 5;

/**
 * Prints the legend of the probabilities. A legend with colours goes to standard output, and a legend without colours
 * to standard error.
 */
const writeLegend = (style: ProbabilityStyle): void => {
  const { stdout } = host;
  for (const line of probabilityLegend(style, terminalColumns(stdout))) {
    if (style.depth === 1) writeNotice(line);
    else writeOut(`${line}\n`);
  }
};

/** How to show the text for `--show-probabilities`, and the number of candidates to request. */
const probabilityView = (
  lm: WorkerModel,
  { json, showProbabilities }: GenerateFlags,
): { readonly candidates: number; readonly textOf?: (showSpecialTokens: boolean) => EventText } => {
  if (!showProbabilities) return { candidates: 0 };
  if (json === true) return { candidates: listedCandidates };
  const { stdout } = host;
  const style = { ...styleFor(stdout), depth: colorDepthFor(stdout) };
  writeLegend(style);
  return { candidates: 1, textOf: (showSpecialTokens) => probabilityText(lm.tokenizer, showSpecialTokens, style) };
};

/**
 * Suggests `foretoken chat` if the model was made for conversations. A run on plain text may contain the chat template
 * of its base model, although the run's model is not a chat model.
 */
const chatNotice = async (
  path: string,
  { chatTemplate }: WorkerModel,
  directory: string,
  { prompt, json, weights, adapter, base }: GenerateFlags,
): Promise<string | undefined> => {
  if (prompt === undefined || json === true || chatTemplate === null) return undefined;
  const run = await runOfModel(directory);
  if (run !== undefined && run.data.documents !== true) return undefined;
  const parts = Object.entries({ weights, adapter, base }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, value],
  );
  return `this model is made for conversations: ${commandLine(["chat", path, ...parts])}`;
};

const runGenerate = async (path: string, flags: GenerateFlags): Promise<void> => {
  const { maxNewTokens, stop, showSpecialTokens, unknown, badWords, samplers, slide, cache, json, backend, threads } =
    flags;
  const own = { maxNewTokens, stop, showSpecialTokens, unknown, badWords, samplers, slide };
  const given = { ...generateDefaults, ...samplingOf(flags), ...own };
  const settings = parseConfig(generateSettingsSchema, given, ([name = ""]) => flagOf(name));
  const { speculate, loading } = await speculationOf(flags);
  const constraint = await constraintOf(flags);
  // The modules for many prompts and for a session are imported only when they are needed, so that a single text starts
  // sooner.
  if (flags.prompts !== undefined) {
    const { writeTexts } = await import("../prompts/write-texts.ts");
    await writeTexts(
      async () => {
        checkThreadsOf(flags);
        const { lm, notices } = await loadNamed(path, flags, { backend, threads, ...weightsKept(flags), ...loading });
        for (const line of notices) writeNotice(line);
        await checkConstraint(constraint, flags, lm.tokenizer);
        return lm;
      },
      { prompts: flags.prompts, out: flags.out, settings: { ...settings, constraint, speculate } },
    );
    return;
  }
  if (flags.prompt === "") {
    throw new ConfigError({ where: "--prompt", must: "must have at least one character", got: '""', hint: '"\\n"' });
  }
  checkThreadsOf(flags);
  const { lm, directory, notices } = await loadNamed(path, flags, {
    backend,
    threads,
    ...weightsKept(flags),
    ...loading,
  });
  const tellChoices = (): void => {
    for (const line of notices) writeNotice(line);
  };
  if (flags.interactive === true) {
    tellChoices();
    try {
      await checkConstraint(constraint, flags, lm.tokenizer);
      const { aboutModel, runInteractive } = await import("../interactive/loop.ts");
      const { createSession } = await import("../interactive/session.ts");
      const { candidates, textOf } = probabilityView(lm, flags);
      const { config, tokenizer } = lm;
      const writer: Writer = {
        config,
        tokenizer,
        generate: (options) => lm.generate({ ...options, candidates, constraint, speculate }),
      };
      await runInteractive(
        [...aboutModel(lm), "type the beginning of a text, or /help"],
        createSession(writer, settings, cache),
        { json: json === true, textOf },
      );
    } finally {
      await lm.close();
    }
    return;
  }
  const interrupt = onInterrupt(() => {});
  onOutputEnd(interrupt.abort);
  try {
    checkSlide(settings.slide, lm.config, "--slide");
    await checkConstraint(constraint, flags, lm.tokenizer);
    const prompt = flags.prompt ?? (await promptFor(lm.tokenizer, directory));
    // Checks the prompt before any of it is printed.
    const read = readPrompt(lm.tokenizer, prompt, unknown, "--prompt", "--unknown skip");
    // Print this after all checks of the input. A mistake then prints only its error line.
    tellChoices();
    const forChat = await chatNotice(path, lm, directory, flags);
    if (forChat !== undefined) writeNotice(forChat);
    if (read.skipped !== undefined) writeNotice(`left out of the prompt: ${describeSkipped(read.skipped)}`);
    if (flags.beams !== undefined) {
      const { beams } = flags;
      const texts = await lm.beamSearch({
        prompt,
        beams,
        maxNewTokens,
        unknown,
        showSpecialTokens,
        signal: interrupt.signal,
      });
      for (const text of texts) {
        if (json === true) writeJson(text);
        else writeOut(`${text.score.toFixed(4)}  ${oneLine(text.text)}\n`);
      }
      if (interrupt.signal.aborted) host.exitCode = interrupt.status();
      return;
    }
    const { candidates, textOf } = probabilityView(lm, flags);
    // In a pipe, a text with a constraint is printed without its prompt. A program can then parse the output.
    const standsAlone = constraint !== undefined && !host.stdout.isTTY;
    const shown = standsAlone ? "" : read.text;
    if (json !== true) writeOut(shownText(shown));
    const events = lm.generate({
      ...settings,
      prompt,
      cache,
      candidates,
      constraint,
      speculate,
      signal: interrupt.signal,
    });
    const finishReason = await writeGenerated(events, json === true, textOf?.(showSpecialTokens), shown);
    if (finishReason === "aborted") host.exitCode = interrupt.status();
    if (constraint !== undefined && finishReason === "length") {
      const cut = `the text was cut off at ${formatPlural(settings.maxNewTokens, "token")}, so it may be incomplete`;
      writeNotice(`${cut}: --max-new-tokens allows more`);
    }
  } finally {
    interrupt.release();
    await lm.close();
  }
};

/** @throws ConfigError for flags that cannot be combined, and for `--out` without `--prompts`. */
const checkPromptsFlags = (command: Command, { prompts, out, beams }: GenerateFlags): void => {
  if (prompts === undefined && out !== undefined) {
    throw new ConfigError({
      where: "--out",
      must: "needs --prompts",
      got: "none",
      hint: "> FILE to save a single text",
    });
  }
  const isGiven = (name: string): boolean => command.getOptionValueSource(name) === "cli";
  const drawn = [
    "temperature",
    "topK",
    "topP",
    "minP",
    "typicalP",
    "repetitionPenalty",
    "presencePenalty",
    "frequencyPenalty",
  ];
  const without = [
    ...drawn,
    "seed",
    "samplers",
    "badWords",
    "slide",
    "stop",
    "interactive",
    "prompts",
    "showProbabilities",
    "cache",
    "speculate",
    ...constraintFlagNames,
  ];
  const idle = beams === undefined ? undefined : without.find(isGiven);
  if (idle !== undefined) {
    const where = idle === "cache" ? "--no-cache" : flagOf(idle);
    throw new ConfigError({
      where,
      must: "cannot be used with --beams, which draws no tokens at random",
      got: "both",
      hint: "one of them",
    });
  }
  if (isGiven("speculate") && isGiven("cache")) {
    const must = "cannot be used with --speculate, which needs the KV cache";
    throw new ConfigError({ where: "--no-cache", must, got: "both", hint: "one of them" });
  }
  if (prompts === undefined) return;
  const other = ["prompt", "interactive", "showProbabilities", "cache", "json"].find(isGiven);
  if (other === undefined) return;
  const where = other === "cache" ? "--no-cache" : flagOf(other);
  throw new ConfigError({ where, must: "cannot be used with --prompts", got: "both", hint: "one of them" });
};

/** `foretoken generate`. */
export const declareGenerate = (command: Command): void => {
  const { maxNewTokens } = generateDefaults;
  const parseTexts = (flag: string) =>
    expecting((text: string, earlier: readonly string[]): readonly string[] => [...earlier, parseText(flag)(text)], {
      repeats: true,
    });
  const withText = command
    .usage("<checkpoint> [flags]")
    .argument("<checkpoint>", modelPlaces, parsePath("<checkpoint>"))
    .optionsGroup("Text: the prompt, and where the text ends")
    .addOption(
      new Option(
        "--prompt <text>",
        "the text to continue; \\n, \\t and \\\\ are interpreted (default: a line end; if the vocabulary has no line end: the prompt of the run's samples, or else the first token of the vocabulary)",
      ).argParser(parseText("--prompt")),
    )
    .option("-i, --interactive", "read prompts line by line, from the terminal or a pipe")
    .option(
      "--prompts <file>",
      'a file of prompts; one text is written for each line, in batches. A line is JSON: a string, a list of token ids, or an object {"prompt": …} with settings for its text (default: none)',
      parsePath("--prompts"),
    )
    .option(
      "--out <file>",
      "the output file of --prompts, with one line of JSON for each text; an unfinished file is continued (default: standard output)",
      parsePath("--out"),
    )
    .option("--max-new-tokens <n>", "maximum number of tokens to write", parseNumber("--max-new-tokens"), maxNewTokens)
    .addOption(
      new Option(
        "--stop <text>",
        "stop before this text; \\n, \\t and \\\\ are interpreted; may be given several times",
      )
        .default([], "none")
        .argParser(parseTexts("--stop")),
    )
    .option("--show-special-tokens", "show special tokens, such as the end of a text, by their names", false)
    .option(
      "--show-probabilities",
      "show the model's probability of each token by a colour; without colours, write the probability after the token",
      false,
    );
  addUnknownFlag(withText, "prompt");
  const filterFlags = filterNames.map((name) => flagOf(name).slice(2));
  addSamplingFlags(command, generateDefaults)
    .addOption(
      new Option(
        "--bad-words <text>",
        "never write this text; \\n, \\t and \\\\ are interpreted; may be given several times",
      )
        .default([], "none")
        .argParser(parseTexts("--bad-words")),
    )
    .addOption(
      new Option("--samplers <names>", "the order of the sampling filters; name each filter once")
        .default(filterNames, filterFlags.join(", "))
        .argParser(
          expecting(
            (text: string): readonly string[] =>
              text.split(",").map((name) => filterNames[filterFlags.indexOf(name.trim())] ?? name.trim()),
            { repeats: false },
          ),
        ),
    );
  addConstraintFlags(command);
  addSpeculateFlag(addDTypeFlag(addRunningFlags(addWeightsFlag(command))))
    .option(
      "--slide <n>",
      "when the context is full, keep its first 32 tokens, drop the next <n> tokens (a multiple of 32), and continue; 0: for each new token, drop the oldest token and compute the whole window again",
      parseNumber("--slide"),
      generateDefaults.slide,
    )
    .option(
      "--beams <n>",
      "beam search: print the <n> most likely texts that were found, one on each line, after its score; no token is drawn at random (default: none)",
      parseInteger("--beams", 1),
    )
    .option(
      "--no-cache",
      "turn the KV cache off: compute all keys and values again for each token, which is slower and gives the same text",
    )
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (path: string, flags: GenerateFlags) => {
      checkArguments(command);
      checkPromptsFlags(command, flags);
      if (flags.interactive === true && command.getOptionValueSource("prompt") === "cli") {
        throw new ConfigError({
          where: "--prompt and --interactive",
          must: "cannot be combined: only one flag may give the text to continue",
          got: "both",
          hint: "one of them",
        });
      }
      await runGenerate(path, flags);
    });
};
