import type { Command } from "commander";
import { saveMerged } from "../../pretrained/adapter/merge.node.ts";
import { formatBytes, formatCount } from "../display/texts/format.ts";
import { checkArguments, parseChoice, parsePath } from "../flags/flags.ts";
import { baseCheckFlag, baseFlag } from "../flags/weights-flag.ts";
import { notes } from "../help.ts";
import { inModelFlags, modelDirectory } from "../model/checkpoint-path.ts";
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

The result is a directory for transformers, and for every command that takes a model. It needs no adapter any more.`;

const runMerge = async (named: string, { base, baseCheck, dtype, json, ...rest }: MergeFlags): Promise<void> => {
  const { out = `${named.replace(/[/\\]+$/u, "")}-merged` } = rest;
  const line = progressLine(json === true);
  try {
    const adapter = await modelDirectory(named);
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
    const [to, from] = [out, merged.base].map((name) => printableName(name, unicode));
    writeOut(`${to}: ${formatCount(merged.parameters)} parameters of ${from}, with the adapter merged into them\n`);
  } catch (error) {
    line.clear();
    throw inModelFlags(error);
  }
};

/** `foretoken merge`. */
export const declareMerge = (command: Command): void => {
  const adapter = command
    .usage("<adapter> [flags]")
    .argument("<adapter>", "a LoRA adapter: a folder that PEFT wrote, or a run's", parsePath("<adapter>"))
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
