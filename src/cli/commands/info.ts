import { arch, availableParallelism, cpus, release, totalmem, type } from "node:os";
import { dirname } from "node:path";
import type { Command } from "commander";
import { type BackendDescription, describeBackends } from "../../backend/select.node.ts";
import { cachePath } from "../../data/tiny-shakespeare.node.ts";
import { formatBytes } from "../display/texts/format.ts";
import { checkArguments } from "../flags.ts";
import { writeJson, writeOut } from "../output.ts";
import { printableName, styleFor } from "../terminal.ts";

const examples = `
Examples:
  $ npx foretoken info
  $ npx foretoken info --json | jq .auto`;

const collect = async () => {
  const { backends, auto } = await describeBackends();
  return {
    machine: {
      cpu: cpus()[0]?.model.trim() ?? "unknown",
      cores: availableParallelism(),
      memoryBytes: totalmem(),
      os: `${type()} ${release()} ${arch()}`,
      node: process.version,
    },
    backends,
    auto,
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

const infoText = ({ machine, backends, auto, folders }: Awaited<ReturnType<typeof collect>>): string => {
  const rows: readonly (readonly [label: string, value: string])[] = [
    ["cpu", `${machine.cpu}, ${machine.cores} core${machine.cores === 1 ? "" : "s"}`],
    ["memory", formatBytes(machine.memoryBytes)],
    ["system", `${machine.os}, Node.js ${machine.node}`],
    ...backends.map((backend) => [backend.name, describe(backend)] as const),
    ["auto", `${auto.name}: ${auto.why}`],
    ["cache", folders.cache],
    ["corpora", folders.corpora ?? "none (FORETOKEN_CORPORA names a folder that is looked in first)"],
  ];
  const { unicode } = styleFor(process.stdout).symbols;
  // Folders come from the environment, and may have any character in their names.
  return rows.map(([label, value]) => `${label.padEnd(12)}${printableName(value, unicode)}\n`).join("");
};

/** `foretoken info`. */
export const declareInfo = (command: Command): void => {
  command
    .usage("[flags]")
    .option("--json", "write one JSON object instead")
    .addHelpText("after", examples)
    .allowExcessArguments()
    .action(async ({ json }: { readonly json?: true }) => {
      checkArguments(command);
      const info = await collect();
      if (json === true) writeJson(info);
      else writeOut(infoText(info));
    });
};
