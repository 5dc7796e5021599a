import type { Command } from "commander";
import { ConfigError } from "../../core/errors/errors.ts";
import { formatBytes } from "../../core/text/format-bytes.ts";
import { quotePath, quoteWord } from "../../core/text/shell-word.ts";
import { corpusNames } from "../../data/corpora.node.ts";
import { readText } from "../../data/text.node.ts";
import { type SplitPattern, splitPatterns } from "../../tokenizer/bpe/split/patterns.ts";
import { formatCount } from "../display/texts/format.ts";
import { checkArguments, expecting, parseChoice, parseInteger, parsePath, parseText } from "../flags/flags.ts";
import { notes } from "../help.ts";
import { host } from "../process/host.ts";
import { writeJson, writeNotice, writeOut } from "../process/output.ts";
import { styleFor, terminalColumns } from "../process/terminal.ts";
import { findTokenizer } from "../tokenizer/find-tokenizer.ts";
import { inspectionText, inspectText, tokenizerFacts, tokenizerText } from "../tokenizer/inspect.ts";
import { trainTokenizerFiles } from "../tokenizer/train-tokenizer.ts";

const actions = ["train", "inspect"] as const;
type Action = (typeof actions)[number];

interface TokenizerFlags {
  readonly data?: readonly string[];
  readonly vocabSize: number;
  readonly pattern: SplitPattern;
  readonly specialToken?: readonly string[];
  readonly out?: string;
  readonly file?: string;
  readonly json?: true;
}

const examples = `
Examples:
  $ npx foretoken tokenizer train --vocab-size 4096 --data notes.txt --out my-tokenizer
  $ npx foretoken tokenizer train --data docs --data src --pattern gpt4 --special-token "<|endoftext|>" --out mine
  $ npx foretoken tokenizer inspect my-tokenizer "How does this split?"
  $ npx foretoken tokenizer inspect runs/notes --file notes.txt --json

train learns byte-level BPE tokens and writes tokenizer.json and tokenizer_config.json. inspect reads any tokenizer.json, or
a folder that contains one: a tokenizer, a checkpoint or a run. Without a text, inspect describes the tokenizer.`;

/** Parser of a flag that may be repeated; collects its values. */
const collecting = (parse: (text: string) => string, names: readonly string[] = [], paths = false) =>
  expecting((text: string, earlier?: readonly string[]): readonly string[] => [...(earlier ?? []), parse(text)], {
    choices: names,
    paths,
    repeats: true,
  });

const needed = <Value>(flag: string, value: Value | undefined, hint: string): Value => {
  if (value !== undefined) return value;
  throw new ConfigError({ where: "tokenizer train", must: `${flag} must be given`, got: "none", hint });
};

const runTrain = async (flags: TokenizerFlags): Promise<void> => {
  const { vocabSize, pattern, specialToken: specialTokens = [], json } = flags;
  const data = needed("--data", flags.data, "--data FILE");
  const out = needed("--out", flags.out, "--out FOLDER");
  const { tokenizer, bytes, seconds } = await trainTokenizerFiles({ data, vocabSize, pattern, specialTokens, out });
  if (tokenizer.vocabSize < vocabSize) {
    writeNotice(
      `no other pair of tokens occurs twice in the text, so there are only ${formatCount(tokenizer.vocabSize)} tokens instead of ${formatCount(vocabSize)}`,
    );
  }
  if (json === true) {
    writeJson({ ...tokenizerFacts(tokenizer), out, bytes, seconds: +seconds.toFixed(3) });
    return;
  }
  const source = `${formatBytes(bytes)} in ${seconds.toFixed(1)} s`;
  writeOut(`${formatCount(tokenizer.vocabSize)} tokens, learned from ${source}\n`);
  writeOut(`\nNext:\n  npx foretoken tokenizer inspect ${quotePath(out)} "How does this split?"\n`);
};

const textOf = async (text: string | undefined, file: string | undefined): Promise<string | undefined> => {
  if (text !== undefined && file !== undefined) {
    const must = "must have one text";
    throw new ConfigError({ where: "tokenizer inspect", must, got: "a text and --file", hint: "one of them" });
  }
  return file === undefined ? text : (await readText(file)).text;
};

const runInspect = async (path: string | undefined, given: string | undefined, flags: TokenizerFlags) => {
  if (path === undefined) {
    const must = "must have a tokenizer";
    throw new ConfigError({
      where: "tokenizer inspect",
      must,
      got: "none",
      hint: "a run's folder or a tokenizer.json",
    });
  }
  const text = await textOf(given, flags.file);
  const tokenizer = await findTokenizer(path);
  const { stdout } = host;
  const width = terminalColumns(stdout);
  if (text === undefined) {
    if (flags.json === true) writeJson(tokenizerFacts(tokenizer));
    else writeOut(tokenizerText(tokenizer, width));
    return;
  }
  const inspection = inspectText(tokenizer, text, flags.file ?? "text", flags.json === true);
  if (flags.json === true) writeJson(inspection);
  else writeOut(inspectionText(inspection, width, styleFor(stdout)));
};

/** `foretoken tokenizer`. */
export const declareTokenizer = (command: Command): void => {
  command
    .usage("<train|inspect> [tokenizer] [text] [flags]")
    .argument("<action>", "train or inspect", parseChoice("<action>", actions))
    .argument("[tokenizer]", "for inspect: a tokenizer.json, or a folder that contains one", parsePath("[tokenizer]"))
    .argument("[text]", "for inspect: the text to split; \\n, \\t and \\\\ are interpreted", parseText("[text]"))
    .optionsGroup("Subcommand train: the texts to learn from, and the result")
    .option(
      "--data <text>",
      "the name of a corpus, a UTF-8 file, or a folder of UTF-8 files; may be given several times (default: none; required for train)",
      collecting(parsePath("--data", corpusNames), corpusNames, true),
    )
    .option(
      "--out <folder>",
      "a new or empty folder for the tokenizer (default: none; required for train)",
      parsePath("--out"),
    )
    .option("--vocab-size <n>", "number of tokens, including special tokens", parseInteger("--vocab-size", 1), 2048)
    .option(
      "--pattern <name>",
      `how a text is split into pieces before tokens are learned; a token never contains parts of two pieces: ${splitPatterns.join(", ")}`,
      parseChoice("--pattern", splitPatterns),
      "gpt2",
    )
    .option(
      "--special-token <name>",
      "a special token, such as <|endoftext|>; may be given several times (default: none)",
      collecting((text) => text),
    )
    .optionsGroup("Subcommand inspect: the text to show")
    .option("--file <path>", "read the text from this file (default: none)", parsePath("--file"))
    .optionsGroup("Output: results, errors and help")
    .option("--json", "write only JSON to standard output")
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (action: Action, path: string | undefined, text: string | undefined, flags: TokenizerFlags) => {
      checkArguments(command);
      if (action === "inspect") await runInspect(path, text, flags);
      else if (path === undefined) await runTrain(flags);
      else {
        const must = "accepts only flags";
        const hint = `--data ${quoteWord(path)}`;
        throw new ConfigError({ where: "tokenizer train", must, got: JSON.stringify(path), hint });
      }
    });
};
