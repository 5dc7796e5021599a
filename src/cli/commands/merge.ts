import type { Command } from "commander";
import { ConfigError } from "../../core/errors/errors.ts";
import { saveMerged } from "../../pretrained/adapter/merge.node.ts";
import { isAdapterFolder } from "../../pretrained/adapter/open.node.ts";
import { formatBytes, formatCount } from "../display/texts/format.ts";
import { checkArguments, parseChoice, parsePath } from "../flags/flags.ts";
import { baseCheckFlag, baseFlag } from "../flags/weights-flag.ts";
import { notes } from "../help.ts";
import { inModelFlags, modelDirectory, runOfModel } from "../model/checkpoint-path.ts";
import { newPlace } from "../model/new-place.ts";
import { host } from "../process/host.ts";
import { writeJson, writeNotice, writeOut } from "../process/output.ts";
import { progressLine } from "../process/progress-line.ts";
import { printableName, styleFor } from "../process/terminal.ts";

const dtypes = ["float32", "bfloat16"] as const;

interface MergeFlags {
  readonly base?: string;
  readonly baseCheck: boolean;
  readonly out?: string;
  readonly dtype: (typeof dtypes)[number];
  readonly json?: true;
}

const examples = `
Examples:
  $ npx foretoken merge runs/letters --out models/letters         a run that trained an adapter
  $ npx foretoken merge adapter --base hf:org/name --out models/merged --dtype bfloat16

The result is a directory for transformers, and for every command that takes a model. It needs no adapter any more.
Opened in bfloat16, it is a little worse than the model with its adapter, whose small changes bfloat16 rounds away:
--dtype float32 keeps them.`;

/** The adapter's folder. @throws ConfigError for a run that trained no adapter. */
const adapterDirectory = async (named: string): Promise<string> => {
  const directory = await modelDirectory(named);
  const run = await runOfModel(named);
  if (run === undefined || run.config.lora !== undefined || (await isAdapterFolder(directory))) return directory;
  throw new ConfigError({
    where: named,
    must: "the run must have trained an adapter",
    got: "a run that trained all weights: it is a whole model already",
    hint: "the run itself, in place of a merged model",
  });
};

/** What rounding to bfloat16 takes from a merged model, and how to keep it. @param adapter its name, for people. */
const lossInWords = (dtype: MergeFlags["dtype"], adapter: string): string =>
  dtype === "float32"
    ? `Opened in bfloat16, which --dtype auto takes where it is faster, it loses a part of what the adapter learned, by rounding: --dtype float32 keeps it, and so does ${adapter} itself, unmerged.`
    : `Rounding to bfloat16 has removed a part of what the adapter learned: to keep it, merge to float32 and open that with --dtype float32, or open ${adapter} itself, unmerged.`;

const runMerge = async (named: string, { base, baseCheck, dtype, json, ...rest }: MergeFlags): Promise<void> => {
  const out = newPlace(named, "-merged", "", rest.out);
  const line = progressLine(json === true);
  try {
    const adapter = await adapterDirectory(named);
    const merged = await saveMerged(out, adapter, {
      ...{ dtype, baseCheck, base: base === undefined ? undefined : await modelDirectory(base) },
      onNotice: (notice) => {
        line.clear();
        writeNotice(notice);
      },
      onProgress: (bytes, all) => line.update(`reading ${Math.floor((100 * bytes) / all)}% of ${formatBytes(all)}`),
    });
    line.clear();
    if (json === true) {
      writeJson({ path: out, adapter, base: merged.base, parameters: merged.parameters, dtype });
      return;
    }
    const { unicode } = styleFor(host.stdout).symbols;
    const [to = "", from = "", apart = ""] = [out, merged.base, named].map((name) => printableName(name, unicode));
    writeOut(`${to}: ${formatCount(merged.parameters)} parameters of ${from}, with the adapter merged into them\n`);
    writeOut(`${lossInWords(dtype, apart)}\n`);
  } catch (error) {
    line.clear();
    throw inModelFlags(error);
  }
};

/** `foretoken merge`. */
export const declareMerge = (command: Command): void => {
  const adapter = command
    .usage("<adapter> [flags]")
    .argument("<adapter>", "a LoRA adapter: a folder that PEFT wrote, a GGUF file, or a run's", parsePath("<adapter>"))
    .optionsGroup("Model: what it is merged into, and where the result goes");
  baseCheckFlag(baseFlag(adapter))
    .option(
      "--out <dir>",
      "a new or empty folder, or an earlier model to be replaced (default: the adapter's, with -merged at its end)",
      parsePath("--out"),
    )
    .option(
      "--dtype <name>",
      `element type of its weights: ${dtypes.join(", ")}`,
      parseChoice("--dtype", dtypes),
      "float32",
    )
    .optionsGroup("Output: a line for people, or JSON")
    .option("--json", "write one JSON object instead")
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (adapter: string, flags: MergeFlags) => {
      checkArguments(command);
      await runMerge(adapter, flags);
    });
};
