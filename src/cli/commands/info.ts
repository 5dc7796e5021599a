import { dirname, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { type BackendDescription, describeBackends } from "../../backend/select.node.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { machineFacts } from "../../core/system/machine-facts.node.ts";
import { quoteWord } from "../../core/text/shell-word.ts";
import { cachePath } from "../../data/tiny-shakespeare.node.ts";
import { buildMpiCommand, hasMpi, mpiLibrary } from "../../train/ranks/addon.node.ts";
import { formatBytes } from "../display/texts/format.ts";
import { modelRows } from "../display/texts/model-text.ts";
import { padRight, wrapText } from "../display/texts/width.ts";
import { checkArguments, parsePath } from "../flags/flags.ts";
import { addAdapterFlags } from "../flags/weights-flag.ts";
import { notes } from "../help.ts";
import { type ModelParts, modelPlaces } from "../model/checkpoint-path.ts";
import { host } from "../process/host.ts";
import { writeJson, writeNotice, writeOut } from "../process/output.ts";
import { printableName, styleFor, terminalColumns } from "../process/terminal.ts";

const examples = `
Examples:
  $ npx foretoken info                          this machine and its backends
  $ npx foretoken info --json | jq .auto
  $ npx foretoken info runs/notes               a model: its shape, vocabulary, files
  $ npx foretoken info models/gpt2 --adapter adapter
  $ npx foretoken info models/gpt2 --json`;

type Mpi =
  | { readonly available: true; readonly library: string }
  | { readonly available: false; readonly reason: string };

const describeMpi = (): Mpi => {
  if (!hasMpi()) return { available: false, reason: `no addon (${buildMpiCommand()} builds it)` };
  try {
    return { available: true, library: mpiLibrary() };
  } catch (error) {
    return { available: false, reason: error instanceof Error ? error.message : String(error) };
  }
};

const collect = async () => {
  const { backends, auto } = await describeBackends();
  return {
    machine: machineFacts(),
    backends,
    auto,
    mpi: describeMpi(),
    folders: { cache: dirname(cachePath(process.env)), corpora: process.env.FORETOKEN_CORPORA ?? null },
  };
};

const describe = (backend: BackendDescription): string => {
  if (!backend.available) return `missing: ${backend.reason}`;
  const { instructionSet, instructionSets, notCompiled, threads, fasterDtype } = backend;
  const others = instructionSets.filter((name) => name !== instructionSet);
  const also = others.length === 0 ? "" : `, could use ${others.join(", ")} (FORETOKEN_ISA)`;
  const missing = notCompiled.length === 0 ? "" : `, not compiled: ${notCompiled.join(", ")} (FORETOKEN_BUILD_ISA)`;
  return `${instructionSet}, ${threads} thread${threads === 1 ? "" : "s"}, ${fasterDtype}${also}${missing}`;
};

const labelWidth = 12;
/** Minimum columns for a value. */
const narrowest = 20;

type Row = readonly [label: string, value: string];

/**
 * The command for MPI ranks, as in docs/cluster.md. The command does not use npx: in a clone, npx would run the
 * `prepare` script on each rank.
 */
export const onRanks = (): string => {
  const program = relative(process.cwd(), fileURLToPath(new URL("../main.js", import.meta.url)));
  return ["node", program, "train"].map(quoteWord).join(" ");
};

const machineRows = ({
  machine,
  backends,
  auto,
  mpi,
  folders,
}: Awaited<ReturnType<typeof collect>>): readonly Row[] => [
  ["cpu", `${machine.cpu}, ${machine.cores} core${machine.cores === 1 ? "" : "s"}`],
  ["memory", formatBytes(machine.memoryBytes)],
  ["system", `${machine.os}, ${machine.runtime}`],
  ...backends.map((backend) => [backend.name, describe(backend)] as const),
  ["auto", `${auto.name}: ${auto.why}`],
  ["mpi", mpi.available ? `${mpi.library}: mpirun -n 2 ${onRanks()}` : mpi.reason],
  ["cache", folders.cache],
  [
    "corpora",
    folders.corpora ?? "none (the environment variable FORETOKEN_CORPORA names a folder that is searched first)",
  ],
];

const rowsText = (rows: readonly Row[]): string => {
  const { stdout } = host;
  const { unicode } = styleFor(stdout).symbols;
  // In a pipe, each fact is on one line.
  const width = stdout.isTTY ? Math.max(narrowest, terminalColumns(stdout) - labelWidth) : Number.POSITIVE_INFINITY;
  const lines = rows.flatMap(([label, value]) =>
    // Paths come from the environment and may contain any character.
    wrapText(printableName(value, unicode), width).map((line, i) => padRight(i === 0 ? label : "", labelWidth) + line),
  );
  return lines.map((line) => `${line}\n`).join("");
};

interface InfoFlags extends Pick<ModelParts, "adapter" | "base"> {
  readonly json?: true;
}

/** @throws ConfigError for flags that need a model. */
const checkAlone = (parts: object): void => {
  const [name] = Object.keys(parts).filter((key) => key !== "verbose");
  if (name === undefined) return;
  throw new ConfigError({ where: `--${name}`, must: "works only with a model", got: "no model", hint: "info MODEL" });
};

/** `foretoken info`. */
export const declareInfo = (command: Command): void => {
  command
    .usage("[model] [flags]")
    .argument("[model]", `a model to describe instead of the machine: ${modelPlaces}`, parsePath("<model>"))
    .optionsGroup("Model: its adapter");
  addAdapterFlags(command)
    .optionsGroup("Output: text or JSON")
    .option("--json", "write one JSON object instead of text")
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (path: string | undefined, { json, ...parts }: InfoFlags) => {
      checkArguments(command);
      if (path === undefined) {
        checkAlone(parts);
        const info = await collect();
        if (json === true) writeJson(info);
        else writeOut(rowsText(machineRows(info)));
        return;
      }
      // Model code is loaded only here, because facts about the machine do not need it.
      const { readModelFacts } = await import("../model/model-facts.ts");
      const facts = await readModelFacts(path, parts, writeNotice);
      if (json === true) writeJson(facts);
      else writeOut(rowsText(modelRows(facts)));
    });
};
