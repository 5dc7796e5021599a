import type { Command } from "commander";
import { ConfigError } from "../../core/errors/errors.ts";
import { saveMerged } from "../../pretrained/adapter/merge.node.ts";
import { isAdapterFolder } from "../../pretrained/adapter/place.node.ts";
import { formatBytes, formatCount } from "../display/texts/format.ts";
import { checkArguments, parseChoice, parsePath } from "../flags/flags.ts";
import { baseCheckFlag, baseFlag, weightsOption } from "../flags/weights-flag.ts";
import { notes } from "../help.ts";
import {
  inModelFlags,
  type ModelParts,
  modelDirectory,
  runOfModel,
  weightsDirectory,
} from "../model/checkpoint-path.ts";
import { newPlace } from "../model/new-place.ts";
import { host } from "../process/host.ts";
import { endStopped, onInterrupt } from "../process/interrupt.ts";
import { onOutputEnd, writeJson, writeNotice, writeOut } from "../process/output.ts";
import { progressLine } from "../process/progress-line.ts";
import { printableName, styleFor } from "../process/terminal.ts";

const dtypes = ["float32", "bfloat16"] as const;

interface MergeFlags {
  readonly base?: string;
  readonly baseCheck: boolean;
  readonly out?: string;
  readonly weights?: ModelParts["weights"];
  readonly dtype: (typeof dtypes)[number];
  readonly json?: true;
}

const examples = `
Examples:
  $ npx foretoken merge runs/letters --out models/letters         the run trained a LoRA adapter
  $ npx foretoken merge adapter --base hf:org/name --out models/merged --dtype bfloat16

The result is a model directory for transformers and for every foretoken command; it does not need the adapter.
In bfloat16 the merged model is slightly worse than the model with its adapter, because bfloat16 rounds away small changes.
--dtype float32 keeps the changes.`;

/** Folder of the adapter. @throws ConfigError for a run that trained no adapter. */
const adapterToMerge = async (
  named: string,
  weights: MergeFlags["weights"],
  tell: (notice: string) => void,
): Promise<string> => {
  const directory = await weightsDirectory(named, weights, tell);
  const run = await runOfModel(named);
  if (run === undefined || run.config.lora !== undefined || (await isAdapterFolder(directory))) return directory;
  throw new ConfigError({
    where: named,
    must: "the run must have trained an adapter",
    got: "a run that trained all weights: its result is already a whole model",
    hint: "the run itself instead of a merged model",
  });
};

/**
 * Describes what a merged model loses by rounding to bfloat16, and how to avoid this loss. @param adapter name of the
 * adapter in the message.
 */
const lossInWords = (dtype: MergeFlags["dtype"], adapter: string): string =>
  dtype === "float32"
    ? `If you open the merged model in bfloat16, rounding removes a part of what the adapter learned. --dtype auto chooses bfloat16 on machines where bfloat16 is faster. To keep everything that the adapter learned, open the model with --dtype float32, or use the unmerged adapter ${adapter}.`
    : `Rounding to bfloat16 has removed a part of what the adapter learned. To keep everything that the adapter learned, merge with --dtype float32 and open the result with --dtype float32, or use the unmerged adapter ${adapter}.`;

const runMerge = async (
  named: string,
  { base, baseCheck, dtype, weights, json, ...rest }: MergeFlags,
): Promise<void> => {
  const out = newPlace(named, "-merged", "", rest.out);
  const interrupt = onInterrupt(() => {});
  onOutputEnd(interrupt.abort);
  const line = progressLine(json === true);
  const onNotice = (notice: string): void => {
    line.clear();
    writeNotice(notice);
  };
  try {
    const adapter = await adapterToMerge(named, weights, onNotice);
    const merged = await saveMerged(out, adapter, {
      ...{ dtype, baseCheck, base: base === undefined ? undefined : await modelDirectory(base) },
      signal: interrupt.signal,
      onNotice,
      onProgress: (bytes, all) => line.update(`reading ${Math.floor((100 * bytes) / all)}% of ${formatBytes(all)}`),
    });
    line.clear();
    if (json === true) {
      writeJson({ path: out, adapter, base: merged.base, parameters: merged.parameters, dtype });
      return;
    }
    const { unicode } = styleFor(host.stdout).symbols;
    const [to = "", from = "", apart = ""] = [out, merged.base, named].map((name) => printableName(name, unicode));
    writeOut(`${to}: ${formatCount(merged.parameters)} parameters of ${from}, including the merged adapter\n`);
    writeOut(`${lossInWords(dtype, apart)}\n`);
  } catch (error) {
    line.clear();
    if (!interrupt.signal.aborted) throw inModelFlags(error);
    endStopped(interrupt, "nothing was written");
  } finally {
    interrupt.release();
  }
};

/** `foretoken merge`. */
export const declareMerge = (command: Command): void => {
  const adapter = command
    .usage("<adapter> [flags]")
    .argument(
      "<adapter>",
      "a LoRA adapter: a folder written by PEFT, a GGUF file, or a run's folder",
      parsePath("<adapter>"),
    )
    .optionsGroup("Model: the model to merge into, and the result");
  baseCheckFlag(baseFlag(adapter.addOption(weightsOption())))
    .option(
      "--out <dir>",
      "a new or empty folder, or a model folder to replace (default: the adapter's name with -merged at its end)",
      parsePath("--out"),
    )
    .option(
      "--dtype <name>",
      `element type of the merged weights: ${dtypes.join(", ")}`,
      parseChoice("--dtype", dtypes),
      "float32",
    )
    .optionsGroup("Output: text or JSON")
    .option("--json", "write one JSON object instead of text")
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (adapter: string, flags: MergeFlags) => {
      checkArguments(command);
      await runMerge(adapter, flags);
    });
};
