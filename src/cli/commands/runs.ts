import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { lockHolder } from "../../io/lock.node.ts";
import { folderNames, runsFolder } from "../../runs/folder-names.ts";
import { type ListedRun, listRuns } from "../../runs/list/runs.node.ts";
import { comparableRuns, groupedLines, runsNextLines } from "../display/texts/runs-table.ts";
import { checkArguments, parseChoice, parsePath } from "../flags/flags.ts";
import { notes } from "../help.ts";
import { host } from "../process/host.ts";
import { writeJson, writeNotice, writeOut } from "../process/output.ts";
import { styleFor, terminalColumns } from "../process/terminal.ts";

const orders = ["time", "loss"] as const;

interface RunsFlags {
  readonly sort: (typeof orders)[number];
  readonly json?: true;
}

const examples = `
Examples:
  $ npx foretoken runs                        newest first
  $ npx foretoken runs --sort loss            lowest validation loss first, for each text
  $ npx foretoken runs experiments --json | jq -r .name

Losses are in nats per token on the validation split. Compare losses only between runs with the same text and the same tokenizer:
--sort loss groups such runs. In JSON the fields corpusSha256, config.tokenizer and vocabSize identify the group. If the runs have different
texts or tokenizers, bits per byte are shown next to the losses. Bits per byte can be compared between tokenizers and, roughly, between similar texts.
A run that ended with an error has failed; the error is shown below the list. In JSON, running runs and killed runs
are both "unfinished".`;

/** Sorts by loss. Runs without a loss come last. Runs with equal losses keep their order. */
const byLoss = (a: ListedRun, b: ListedRun): number =>
  (a.best?.valLoss ?? Number.MAX_VALUE) - (b.best?.valLoss ?? Number.MAX_VALUE);

/** Paths of runs that a process trains now. Other unfinished runs were killed. */
const underWayOf = async (runs: readonly ListedRun[]): Promise<ReadonlySet<string>> => {
  const unfinished = runs.filter(({ state }) => state === "unfinished").map(({ path }) => path);
  const holders = await Promise.all(unfinished.map((path) => lockHolder(join(path, folderNames.lock))));
  return new Set(unfinished.filter((_, i) => holders[i] !== null));
};

const isMissing = async (path: string): Promise<boolean> =>
  stat(path).then(
    () => false,
    () => true,
  );

const runRuns = async (folder: string | undefined, { sort, json }: RunsFlags): Promise<void> => {
  if (folder === undefined && (await isMissing(runsFolder))) {
    writeNotice(`no runs yet: there is no folder ${runsFolder}; try npx foretoken train`);
    return;
  }
  const { runs, skipped } = await listRuns(folder ?? runsFolder);
  const groups = sort === "loss" ? comparableRuns(runs).map((group) => [...group].sort(byLoss)) : [runs];
  if (json === true) for (const run of groups.flat()) writeJson(run);
  else if (runs.length > 0) {
    const { stdout } = host;
    const width = stdout.isTTY ? terminalColumns(stdout) : Number.POSITIVE_INFINITY;
    const style = styleFor(stdout);
    // Suggestions are only for people. A program that reads the table gets only the table.
    const next = stdout.isTTY ? runsNextLines(runs, width, style) : [];
    const lines = [...groupedLines(groups, width, style, await underWayOf(runs)), ...next];
    writeOut(lines.map((line) => `${line}\n`).join(""));
  } else writeNotice(`no runs in ${folder ?? runsFolder}`);
  if (json !== true)
    for (const { path, failure } of runs) if (failure !== null) writeNotice(`${path} has failed: ${failure}`);
  for (const { path, reason } of skipped) {
    writeNotice(`skipped ${reason.startsWith(path) ? reason : `${path}: ${reason}`}`);
  }
};

/** `foretoken runs`. */
export const declareRuns = (command: Command): void => {
  command
    .usage("[folder] [flags]")
    .argument(
      "[folder]",
      `a folder with runs, or the folder of one run (default: ${runsFolder})`,
      parsePath("[folder]"),
    )
    .optionsGroup("List: order and form")
    .option(
      "--sort <order>",
      "time (newest first) or loss (lowest first, by text and tokenizer)",
      parseChoice("--sort", orders),
      "time",
    )
    .option("--json", "write only JSON to standard output, one object for each run")
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (folder: string | undefined, flags: RunsFlags) => {
      checkArguments(command);
      await runRuns(folder, flags);
    });
};
