import type { Command } from "commander";
import { examine } from "../../doctor/examine.node.ts";
import { runsFolder } from "../../runs/folder-names.ts";
import { checkLines, summaryLine } from "../display/texts/doctor-table.ts";
import { chooseBackend } from "../flags/backend-choice.ts";
import { addComputingFlags, checkArguments, parsePath, type RunningFlags } from "../flags/flags.ts";
import { notes } from "../help.ts";
import { modelPlaces } from "../model/checkpoint-path.ts";
import { exitStatus } from "../process/exit-status.ts";
import { host } from "../process/host.ts";
import { onInterrupt } from "../process/interrupt.ts";
import { onOutputEnd, writeJson, writeOut } from "../process/output.ts";
import { progressLine } from "../process/progress-line.ts";
import { styleFor, terminalColumns } from "../process/terminal.ts";

interface DoctorFlags extends RunningFlags {
  readonly runs: string;
}

const examples = `
Examples:
  $ npx foretoken doctor                        checks this machine, in half a minute at most
  $ npx foretoken doctor runs/notes             also compares a run's files with their manifests
  $ npx foretoken doctor model.gguf --backend wasm
  $ npx foretoken doctor --json > report.json   to attach to a bug report
  $ npx foretoken doctor --json | jq '.checks[] | select(.status != "ok")'

For each backend, doctor compares kernels with the reference in float64, and gradients with finite differences. Micro-batches
must give the same gradient as one batch, and decoding must give the same logits with and without the KV cache. The causal mask
must hide later tokens, and a second run or several threads must give the same bits. If a check fails, its line says what to do, and the exit status is 1. A warning means that something is missing
or slow, but all results are right.`;

const runDoctor = async (model: string | undefined, flags: DoctorFlags): Promise<void> => {
  const { runs, threads, json } = flags;
  const { stdout } = host;
  // Throws if the user wants several threads and the backend has only one.
  if (flags.backend !== "auto") await chooseBackend(flags);
  const line = progressLine(json === true);
  const style = styleFor(stdout);
  const interrupt = onInterrupt(() => {});
  onOutputEnd(interrupt.abort);
  const write = (lines: readonly string[]): void => {
    line.clear();
    if (json !== true) writeOut(lines.map((one) => `${one}\n`).join(""));
  };
  try {
    for await (const event of examine({ model, runs, backend: flags.backend, threads })) {
      if (interrupt.signal.aborted) break;
      if (event.type === "begin") line.update(event.name);
      else if (event.type === "result") {
        const width = stdout.isTTY ? terminalColumns(stdout) : Number.POSITIVE_INFINITY;
        write(checkLines(event.result, width, style));
      } else {
        write(["", summaryLine(event.report, style)]);
        if (json === true) writeJson(event.report);
        if (!event.report.ok) host.exitCode = exitStatus.bug;
      }
    }
  } finally {
    line.clear();
    interrupt.release();
  }
  const status = interrupt.status();
  if (status !== undefined) host.exitCode = status;
};

/** `foretoken doctor`. */
export const declareDoctor = (command: Command): void => {
  command
    .usage("[model] [flags]")
    .argument("[model]", `a model; doctor also checks the model's files: ${modelPlaces}`, parsePath("[model]"))
    .optionsGroup("Files: the folder of runs")
    .option(
      "--runs <folder>",
      "the folder of runs; doctor checks that its disk has enough space for a run",
      parsePath("--runs"),
      runsFolder,
    );
  addComputingFlags(command, "Checks: the backend to check, and the output")
    .option("--json", "write one JSON object with all facts instead of the table")
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (model: string | undefined, flags: DoctorFlags) => {
      checkArguments(command);
      await runDoctor(model, flags);
    });
};
