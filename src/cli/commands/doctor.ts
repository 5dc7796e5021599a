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
  $ npx foretoken doctor                        this machine: half a minute at most
  $ npx foretoken doctor runs/notes             and the files of a run, against their manifests
  $ npx foretoken doctor model.gguf --backend wasm
  $ npx foretoken doctor --json > report.json   for a report of a fault
  $ npx foretoken doctor --json | jq '.checks[] | select(.status != "ok")'

Each backend is checked: kernels against the reference in float64, gradients against finite differences, micro-batches against one
batch, the causal mask, decoding with a cache against decoding without, and whether a run has the same bits twice and with
several threads. A failed check says what to do, and the exit status is then 1. A warning is about something that is missing
or slow: all results are right.`;

const runDoctor = async (model: string | undefined, flags: DoctorFlags): Promise<void> => {
  const { runs, threads, json } = flags;
  const { stdout } = host;
  // It refuses several threads where there is one.
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
    .argument("[model]", `check its files, too: ${modelPlaces}`, parsePath("[model]"))
    .optionsGroup("Files: where runs are kept")
    .option("--runs <folder>", "a folder that must have room for a run", parsePath("--runs"), runsFolder);
  addComputingFlags(command, "Checks: of which backend, and their form")
    .option("--json", "write one JSON object instead, with all facts")
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (model: string | undefined, flags: DoctorFlags) => {
      checkArguments(command);
      await runDoctor(model, flags);
    });
};
