import type { Command } from "commander";
import { ConfigError } from "../../core/errors/errors.ts";
import { corpusNames, type LoadedCorpus, loadCorpus } from "../../data/corpora.node.ts";
import { hasDocuments } from "../../data/documents.node.ts";
import type { Evaluation } from "../../evaluate/evaluate.ts";
import { openSource } from "../../pretrained/export/source.node.ts";
import { checkQuantized } from "../../pretrained/gguf/write/calibrate.ts";
import { type GgufEncoding, ggufEncodings } from "../../pretrained/gguf/write/encodings.ts";
import { checkGgufPlace, type SaveGgufOptions, saveGguf } from "../../pretrained/gguf/write/save.node.ts";
import { formatBytes, formatCount } from "../display/texts/format.ts";
import { quantizationLoss } from "../display/texts/quantization-loss.ts";
import { writtenText } from "../display/texts/written-text.ts";
import { chooseBackend } from "../flags/backend-choice.ts";
import {
  addRunningFlags,
  checkArguments,
  flagOf,
  parseChoice,
  parseInteger,
  parsePath,
  type RunningFlags,
} from "../flags/flags.ts";
import { inFlags, unknownHint } from "../flags/option-names.ts";
import { notes } from "../help.ts";
import { inModelFlags, loadNamed, modelDirectory, modelPlaces } from "../model/checkpoint-path.ts";
import { windowsInWords } from "../model/measured-text.ts";
import { nameOfModel, newPlace } from "../model/new-place.ts";
import { host } from "../process/host.ts";
import { endStopped, onInterrupt } from "../process/interrupt.ts";
import { onOutputEnd, writeJson, writeNotice, writeOut } from "../process/output.ts";
import { type ProgressLine, progressLine } from "../process/progress-line.ts";
import { printableName, styleFor } from "../process/terminal.ts";

interface QuantizeFlags extends RunningFlags {
  readonly to: GgufEncoding;
  readonly out?: string;
  readonly embedding?: GgufEncoding;
  readonly overwrite?: true;
  readonly calibrate?: string;
  readonly data?: string;
  readonly contextLength?: number;
}

const examples = `
Examples:
  $ npx foretoken quantize runs/notes --to q8_0                      runs/notes-q8_0.gguf, a quarter of the size in float32
  $ npx foretoken quantize model.gguf --to q4_k --out small.gguf
  $ npx foretoken quantize hf:org/name --to q6_k --out models --data notes.txt   measures the loss before and after
  $ npx foretoken quantize model.gguf --to q4_0 --calibrate notes.txt   loses less on texts like this
  $ npx foretoken generate small.gguf --prompt "The "                every command accepts the result

Encodings, with bits per weight:

  f32   32
  f16   16
  bf16   16
  q8_0   8.5
  q6_k   6.6
  q5_k   5.5
  q5_0   5.5
  q5_1   6
  q4_k   4.5
  q4_0   4.5
  q4_1   5

Vectors stay in float32. If the other matrices have fewer bits than q6_k, the output head gets q6_k, even if it shares its weights with the embedding.
A block of a K type has 256 weights. If the rows of a matrix cannot be divided into blocks of 256, the matrix gets q5_0 instead of q4_k, q5_1 instead of q5_k,
or q8_0 instead of q6_k. If its rows cannot be divided into blocks of 32 either, it gets f16. llama.cpp does the same. The file gets its name only when it is complete.`;

/** Keeps only the quantized encodings. @param from encodings of the tensors that were read. */
const lossyOf = (from: readonly string[]): readonly string[] => from.filter((name) => name.startsWith("Q"));

/** Loads a text. @throws ConfigError for documents. */
const loadText = async (flag: string, path: string, instead: string): Promise<LoadedCorpus> => {
  if (await hasDocuments(path)) {
    throw new ConfigError({ where: flag, must: "must be a text", got: "documents", hint: instead });
  }
  return loadCorpus(path, {});
};

/** The text of --calibrate without its last 10%, so that --data can measure on the last 10% of the same text. */
const calibrationOf = async (
  flags: QuantizeFlags,
  notice: (text: string) => void,
  onTokens: (done: number, all: number) => void,
): Promise<SaveGgufOptions["calibration"]> => {
  const { calibrate, threads } = flags;
  if (calibrate === undefined) return undefined;
  const { train, name } = await loadText("--calibrate", calibrate, "a text file with the documents' texts");
  const { backend, remark } = await chooseBackend(flags);
  if (remark !== undefined && flags.data === undefined) notice(remark);
  return {
    ...{ text: train, name, backend, threads },
    onProgress: onTokens,
  };
};

/**
 * Opens the text and measures models on it. Weights are first converted to float32: products in another type would hide
 * a part of the difference.
 */
const openMeter = async (flags: QuantizeFlags, line: ProgressLine, signal: AbortSignal) => {
  const { data, threads, contextLength } = flags;
  if (data === undefined) return undefined;
  const instead = "writing the file without --data, then npx foretoken evaluate RESULT --against MODEL --data FILE";
  const corpus = await loadText("--data", data, instead);
  const { backend, remark } = await chooseBackend(flags);
  let window = 0;
  const measure = async (path: string): Promise<Evaluation> => {
    const { lm } = await loadNamed(path, {}, { backend, threads, dtype: "float32", keepBlocks: false });
    window = contextLength ?? lm.config.contextLength;
    try {
      return await lm.evaluate(corpus, {
        ...{ windows: true, signal, contextLength: window },
        onProgress: (done, all) =>
          line.update(`measuring ${Math.floor((100 * done) / all)}% of ${formatCount(all)} tokens`),
      });
    } finally {
      await lm.close();
    }
  };
  const measured = (): string => `${printableName(corpus.name)}, its last 10%${windowsInWords("text", window)}`;
  return { measure, remark, measured };
};

/** Checks that the file can be written, because the measurement of the model is slow. */
const checkBoth = async (model: string, file: string, overwrite: boolean): Promise<void> => {
  await checkGgufPlace(file, overwrite);
  const { close } = await openSource(model, {}, "saveGguf");
  await close();
};

const runQuantize = async (named: string, flags: QuantizeFlags): Promise<void> => {
  const { to, out, embedding, overwrite = false, json } = flags;
  const file = newPlace(named, `-${to}`, ".gguf", out);
  const interrupt = onInterrupt(() => {});
  onOutputEnd(interrupt.abort);
  const line = progressLine(json === true);
  const notice = (text: string): void => {
    line.clear();
    writeNotice(text);
  };
  let isWritten = false;
  try {
    const model = await modelDirectory(named);
    if (flags.data !== undefined) await checkBoth(model, file, overwrite);
    let calibrated = 0;
    const calibration = await calibrationOf(flags, notice, (tokens, all) => {
      calibrated = all;
      line.update(`calibrating ${Math.floor((100 * tokens) / all)}% of ${formatCount(all)} tokens`);
    });
    const meter = await openMeter(flags, line, interrupt.signal);
    if (meter?.remark !== undefined) notice(meter.remark);
    const before = await meter?.measure(model);
    const saved = await saveGguf(file, model, {
      ...{
        encoding: to,
        embedding,
        calibration,
        replace: overwrite,
        name: nameOfModel(named),
      },
      ...{ signal: interrupt.signal, onNotice: notice },
      onProgress: (phase, bytes, all) =>
        line.update(
          `${phase === "read" ? "reading" : "writing"} ${Math.floor((100 * bytes) / all)}% of ${formatBytes(all)}`,
        ),
    });
    isWritten = true;
    const after = await meter?.measure(file);
    line.clear();
    const losses = before === undefined || after === undefined ? undefined : { before, after };
    const lossy = lossyOf(saved.from);
    if (lossy.length > 0 && json !== true) {
      notice(`${named}: has matrices in ${lossy.join(", ")} already; encoding them again cannot improve them`);
    }
    if (json === true) {
      const { path: _, ...facts } = saved;
      const figures = ({ windows: __, ...rest }: Evaluation) => rest;
      const loss = losses && { before: figures(losses.before), after: figures(losses.after) };
      writeJson({ path: file, model: named, encoding: to, ...facts, ...(loss === undefined ? {} : { loss }) });
      return;
    }
    const { unicode } = styleFor(host.stdout).symbols;
    writeOut(writtenText(printableName(file, unicode), to, saved));
    if (calibration !== undefined) {
      const count = formatCount(saved.calibration?.matrices ?? 0);
      writeOut(
        `calibrated ${count} matrices on ${formatCount(calibrated)} tokens of the first 90% of ${printableName(calibration.name ?? "")}\n`,
      );
    }
    if (losses !== undefined)
      writeOut(quantizationLoss(losses, meter?.measured() ?? "", calibration === undefined && /^q[45]/u.test(to)));
  } catch (error) {
    line.clear();
    if (!interrupt.signal.aborted) throw inFlags(inModelFlags(error), [unknownHint]);
    endStopped(interrupt, isWritten ? `${file} is complete, but its loss was not measured` : "nothing was written");
  } finally {
    interrupt.release();
  }
};

/** @throws ConfigError for a flag about a computation if nothing is computed. */
const checkIdle = (command: Command, { data, calibrate }: QuantizeFlags): void => {
  const isGiven = (name: string): boolean => command.getOptionValueSource(name) === "cli";
  const idle = [...(calibrate === undefined ? ["backend", "threads"] : []), "contextLength"].find(isGiven);
  if (idle === undefined || data !== undefined) return;
  const users = idle === "contextLength" ? ["--data"] : ["--data", "--calibrate"];
  throw new ConfigError({
    where: flagOf(idle),
    must: `works only with ${users.join(" or ")}`,
    got: `no ${users[0]}`,
    hint: `--data FILE, or no ${flagOf(idle)}`,
  });
};

/** `foretoken quantize`. */
export const declareQuantize = (command: Command): void => {
  addRunningFlags(
    command
      .usage("<model> [flags]")
      .argument("<model>", modelPlaces, parsePath("<model>"))
      .optionsGroup("File: encoding and place")
      .option(
        "--to <encoding>",
        `encoding of the weight matrices: ${ggufEncodings.join(", ")}`,
        parseChoice("--to", ggufEncodings),
        "q8_0",
      )
      .option(
        "--out <path>",
        "a new file name that ends with .gguf, or a folder for the file (default: a name with the encoding, next to the model)",
        parsePath("--out"),
      )
      .option(
        "--embedding <encoding>",
        "encoding of the token embedding and the output head (default: see below)",
        parseChoice("--embedding", ggufEncodings),
      )
      .option("--overwrite", "replace an existing file of this name")
      .option(
        "--calibrate <path>",
        "a text like the texts that the model will read and write: errors of weights with large inputs on its first 90% count more, so that the model loses less; the name of a corpus, a UTF-8 file, or a folder of UTF-8 files (default: none)",
        parsePath("--calibrate", corpusNames),
      )
      .optionsGroup("Loss: before and after encoding, on a text")
      .option(
        "--data <path>",
        "a text; its last 10% is measured: the name of a corpus, a UTF-8 file, or a folder of UTF-8 files (default: none)",
        parsePath("--data", corpusNames),
      )
      .option(
        "--context-length <n>",
        "number of tokens in each window of the text (default: the model's context length, which is also the maximum)",
        parseInteger("--context-length", 1),
      ),
  )
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (model: string, flags: QuantizeFlags) => {
      checkArguments(command);
      checkIdle(command, flags);
      if (flags.calibrate !== undefined) {
        checkQuantized("--calibrate", { encoding: flags.to, embedding: flags.embedding });
      }
      await runQuantize(model, flags);
    });
};
