import type { Command } from "commander";
import { ConfigError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { nearest } from "../../core/text/nearest.ts";
import { show } from "../../core/text/show.ts";
import { type Exported, exportModel } from "../../pretrained/export/export.node.ts";
import {
  type ExportDType,
  type ExportFormatName,
  exportDtypes,
  formatNames,
  formats,
} from "../../pretrained/export/formats.node.ts";
import { formatBytes } from "../display/texts/format.ts";
import { writtenText } from "../display/texts/written-text.ts";
import { checkArguments, checkValue, expecting, parseChoice, parsePath } from "../flags/flags.ts";
import { inFlags } from "../flags/option-names.ts";
import { addWeightsFlag, type WeightsFlag } from "../flags/weights-flag.ts";
import { notes } from "../help.ts";
import {
  adapterDirectory,
  checkBaseCheck,
  inModelFlags,
  modelDirectory,
  modelPlaces,
  weightsDirectory,
} from "../model/checkpoint-path.ts";
import { nameOfModel, newPlace } from "../model/new-place.ts";
import { host } from "../process/host.ts";
import { endStopped, onInterrupt } from "../process/interrupt.ts";
import { onOutputEnd, writeJson, writeNotice, writeOut } from "../process/output.ts";
import { progressLine } from "../process/progress-line.ts";
import { printableName, styleFor } from "../process/terminal.ts";
import { exportDtypeNames, ownValue } from "../suggestions/values-of-others.ts";

interface ExportFlags extends WeightsFlag {
  readonly format?: ExportFormatName;
  readonly dtype?: string;
  readonly out?: string;
  readonly overwrite?: true;
  readonly adapterOnly?: true;
  readonly json?: true;
}

const examples = `
Examples:
  $ npx foretoken export runs/notes --format gguf                     runs/notes-f32.gguf, for llama.cpp, Ollama, LM Studio
  $ npx foretoken export runs/notes --format gguf --dtype q8_0 --out models
  $ npx foretoken export model.gguf --format hf --dtype bf16 --out models/notes   a folder for transformers
  $ npx foretoken export runs/notes --format onnx --dtype int8        a folder for transformers.js in a page
  $ npx foretoken export runs/letters --format gguf                   a run's LoRA adapter, merged into its model
  $ npx foretoken export runs/letters --format gguf --adapter-only    the adapter alone, for --lora of llama.cpp
  $ npx foretoken verify runs/notes runs/notes-f32.gguf               compares the file with the model

Element types (--dtype): hf can have f32 or bf16. gguf can have every type of foretoken quantize, down to 4.5 bits per weight.
onnx can have f32 or int8 (the type that transformers.js uses in a page). f32 keeps every bit.
An adapter alone can be in f32; in a GGUF file, it can also be in f16 or bf16. quantize writes GGUF files too, and measures the loss before and after.
The result gets its name only when it is complete. Folders with other files are never changed.`;

/** A line that says whether the adapter was merged or was written without its model. */
const adapterInWords = ({ adapter, base }: Exported): string =>
  adapter === null
    ? ""
    : adapter === "merged"
      ? `The adapter is merged into the model in ${printableName(base)}.\n`
      : `Only the adapter was written. Other programs must apply the adapter to the model in ${printableName(base)}, or to a copy of this model in their own format.\n`;

/** Accepts any word. `dtypeOf` checks the word when the format is known. */
const parseDtype = expecting(
  (text: string): string => {
    checkValue("--dtype", text);
    return text;
  },
  { choices: exportDtypes },
);

/** The format from --format, or from the ending of --out. */
const formatOf = ({ format, out = "" }: ExportFlags): ExportFormatName => {
  const byName = /\.gguf$/iu.test(out) ? "gguf" : undefined;
  const found = format ?? byName;
  if (found !== undefined) return found;
  throw new ConfigError({
    where: "--format",
    must: `must be ${alternatives(formatNames)}`,
    got: "nothing",
    hint: "--format gguf",
  });
};

/**
 * The element type from --dtype. The valid types depend on the format, and the flag for the format may come later on
 * the command line.
 */
const dtypeOf = (format: ExportFormatName, { dtype, adapterOnly }: ExportFlags): ExportDType | undefined => {
  if (dtype === undefined) return undefined;
  // If the type is valid only for another format, the exporter refuses it later.
  const found = exportDtypes.find((name) => name === dtype);
  if (found !== undefined) return found;
  const { dtypes, adapter } = formats[format];
  const own = (adapterOnly === true ? adapter?.dtypes : undefined) ?? dtypes;
  const other = ownValue(exportDtypeNames[format], dtype.toLowerCase());
  throw new ConfigError({
    where: "--dtype",
    must: `must be ${alternatives(own)} for ${format}`,
    got: show(dtype),
    hint: own.find((name) => name === other) ?? nearest(dtype, own) ?? "--help",
  });
};

const placeOf = (
  named: string,
  format: ExportFormatName,
  dtype: ExportDType | undefined,
  { adapterOnly, out }: ExportFlags,
): string => {
  const { ending, dtypes, adapter } = formats[format];
  const own = dtype ?? (adapterOnly === true ? adapter : null)?.dtypes[0] ?? dtypes[0];
  const parts = [...(adapterOnly === true ? ["adapter"] : []), ending === "" ? format : own];
  return newPlace(named, `-${parts.join("-")}`, ending, out);
};

const runExport = async (named: string, flags: ExportFlags): Promise<void> => {
  const { overwrite, adapterOnly, adapter, base, baseCheck, weights, json } = flags;
  const format = formatOf(flags);
  const dtype = dtypeOf(format, flags);
  const place = placeOf(named, format, dtype, flags);
  const interrupt = onInterrupt(() => {});
  onOutputEnd(interrupt.abort);
  const line = progressLine(json === true);
  const progress = (phase: "read" | "write", bytes: number, all: number): void =>
    line.update(
      `${phase === "read" ? "reading" : "writing"} ${Math.floor((100 * bytes) / all)}% of ${formatBytes(all)}`,
    );
  const onNotice = (text: string): void => {
    line.clear();
    writeNotice(text);
  };
  try {
    await checkBaseCheck(named, flags);
    const written = await exportModel(place, await weightsDirectory(named, weights, onNotice), {
      ...{ format, dtype, baseCheck, replace: overwrite, adapterOnly, name: nameOfModel(named) },
      adapter: adapter === undefined ? undefined : await adapterDirectory(adapter, onNotice),
      base: base === undefined ? undefined : await modelDirectory(base),
      signal: interrupt.signal,
      onNotice,
      onProgress: progress,
    });
    line.clear();
    if (json === true) {
      const { path: _, ...facts } = written;
      writeJson({ path: place, model: named, ...facts });
      return;
    }
    const { unicode } = styleFor(host.stdout).symbols;
    writeOut(writtenText(printableName(place, unicode), written.dtype, written));
    writeOut(adapterInWords(written));
  } catch (error) {
    line.clear();
    if (!interrupt.signal.aborted) throw inFlags(inModelFlags(error));
    endStopped(interrupt, "nothing was written");
  } finally {
    interrupt.release();
  }
};

/** `foretoken export`. */
export const declareExport = (command: Command): void => {
  const flags = command
    .usage("<model> --format <name> [flags]")
    .argument("<model>", `${modelPlaces}; or a LoRA adapter`, parsePath("<model>"))
    .optionsGroup("Result: format and place")
    .option(
      "--format <name>",
      "hf: a folder for transformers; gguf: a file for llama.cpp, Ollama and LM Studio; onnx: a folder for transformers.js and ONNX Runtime (default: gguf where --out ends with .gguf)",
      parseChoice("--format", formatNames),
    )
    .option(
      "--dtype <name>",
      `element type of the weight matrices: ${exportDtypes.join(", ")} (default: f32)`,
      parseDtype,
    )
    .option(
      "--out <path>",
      "for hf and onnx: a new or empty folder; for gguf: a new file name that ends with .gguf, or a folder for the file (default: a name with the format, next to the model)",
      parsePath("--out"),
    )
    .option("--overwrite", "replace an existing GGUF file or model folder of this name")
    .option("--adapter-only", "write only the LoRA adapter (default: merge it into its model)");
  addWeightsFlag(flags)
    .optionsGroup("Output: text or JSON")
    .option("--json", "write one JSON object instead of text")
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (model: string, given: ExportFlags) => {
      checkArguments(command);
      await runExport(model, given);
    });
};
