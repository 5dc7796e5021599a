import type { Command } from "commander";
import type { Backend } from "../../backend/backend.ts";
import { describeBackends, openBackend } from "../../backend/select.node.ts";
import { oneLine } from "../../core/text/one-line.ts";
import type { FlightRecord } from "../../runs/record/flight-record.ts";
import { readRecord } from "../../runs/record/record.node.ts";
import { type Replay, replay } from "../../train/faults/replay.ts";
import { padRight } from "../display/texts/width.ts";
import { chooseBackend } from "../flags/backend-choice.ts";
import { addRunningFlags, checkArguments, parsePath, type RunningFlags } from "../flags/flags.ts";
import { inFlags } from "../flags/option-names.ts";
import { notes } from "../help.ts";
import { exitStatus } from "../process/exit-status.ts";
import { host } from "../process/host.ts";
import { writeJson, writeNotice, writeOut } from "../process/output.ts";

const examples = `
Examples:
  $ npx foretoken replay runs/a/nonfinite-step-7.safetensors
  $ npx foretoken replay runs/a/nonfinite-step-7.safetensors --backend reference
  $ npx foretoken replay runs/a/nonfinite-step-7.safetensors --json

Repeats a training step with a loss or gradient that exploded or was not finite. train had skipped this step, or had stopped at it.
replay uses the weights, the batch and the seed in the file, and changes no file. The exit status is 0 if the result is the same, otherwise 2.`;

/** Opens the backend of the record, or the default backend if this machine does not have that backend. */
const openFor = async (record: FlightRecord, flags: RunningFlags): Promise<Backend> => {
  const { threads } = flags;
  let wanted = flags.backend;
  if (wanted === "auto") {
    const found = (await describeBackends()).backends.find(({ name }) => name === record.backend);
    if (found?.available === true) wanted = found.name;
    else
      writeNotice(
        oneLine(
          `the step was recorded on backend ${record.backend}, which cannot be used here: ${found?.reason ?? "it is unknown"}`,
        ),
      );
  }
  const { backend } = await chooseBackend({ ...flags, backend: wanted });
  const { dtype } = record.config.train;
  return openBackend(backend, { threads, dtype, manyRows: true });
};

const title = ({ step, config, reason }: FlightRecord): string => {
  const what = { nonfinite: "was not finite", loss: "had an exploding loss", gradient: "had an exploding gradient" };
  return `step ${step} of ${config.train.steps}, which ${what[reason]}`;
};

const resultText = (record: FlightRecord, { measured, tensor, reproduced }: Replay, backend: Backend): string => {
  const { instructionSet, dtype } = backend.capabilities;
  const rows: readonly (readonly [label: string, then: string, now: string])[] = [
    ["", "recorded", "now"],
    ["backend", record.backend, backend.name],
    ["instruction set", record.instructionSet, instructionSet],
    ["dtype", record.dtype, dtype],
    ["loss", String(record.loss), String(measured.loss)],
    ["gradient norm", String(record.gradNorm), String(measured.gradNorm)],
  ];
  const first = tensor === record.tensor ? [tensor] : [`${record.tensor} (recorded)`, `${tensor} (now)`];
  return [
    title(record),
    ...rows.map((cells) =>
      cells
        .map((cell) => padRight(oneLine(cell), 22))
        .join("")
        .trimEnd(),
    ),
    ...first.map((one) => `${"first bad tensor".padEnd(22)}${oneLine(one)}`),
    `${"reproduced".padEnd(22)}${reproduced ? "yes" : "no"}`,
    "",
  ].join("\n");
};

const runReplay = async (path: string, flags: RunningFlags): Promise<void> => {
  const record = await readRecord(path);
  const backend = await openFor(record, flags);
  try {
    const result = await replay(backend, record);
    const { measured, tensor, reproduced, isSame } = result;
    if (!isSame) {
      writeNotice(
        `computed on ${backend.name} (${backend.capabilities.instructionSet}), recorded on ${record.backend} (${record.instructionSet}): losses and norms may differ by up to 1%`,
      );
    }
    if (flags.json === true) {
      const { step, loss, gradNorm, reason } = record;
      writeJson({
        step,
        reason,
        ...measured,
        tensor,
        backend: backend.name,
        instructionSet: backend.capabilities.instructionSet,
        dtype: backend.capabilities.dtype,
        recorded: {
          loss,
          gradNorm,
          tensor: record.tensor,
          backend: record.backend,
          instructionSet: record.instructionSet,
          dtype: record.dtype,
        },
        reproduced,
      });
    } else writeOut(resultText(record, result, backend));
    if (!reproduced) host.exitCode = exitStatus.mistake;
  } finally {
    await backend.close();
  }
};

/** `foretoken replay`. */
export const declareReplay = (command: Command): void => {
  command
    .usage("<file> [flags]")
    .argument("<file>", "nonfinite-step-N.safetensors, which train wrote to the run's folder", parsePath("<file>"));
  addRunningFlags(command)
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (path: string, flags: RunningFlags) => {
      checkArguments(command);
      await runReplay(path, flags).catch((error: unknown) => {
        throw inFlags(error);
      });
    });
};
