/** Handles a step that is not finite, or explodes. Such a step never changes a weight. */
import type { Backend } from "../../backend/backend.ts";
import type { RunConfig } from "../../config/config.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { quotePath } from "../../core/text/shell-word.ts";
import { type NonfiniteEvent, eventVersion as v } from "../../runs/events.ts";
import type { Progress } from "../../runs/progress.ts";
import { type RecordedBatch, recordChunks, recordName } from "../../runs/record/flight-record.ts";
import type { RecordStore } from "../../runs/store.ts";
import { readPart } from "../../trainer/state.ts";
import type { RunTeam } from "../../trainer/team.ts";
import { calmer, type Trainer } from "../../trainer/trainer.ts";
import { type Fault, mostInARow } from "./faults.ts";
import { allFinite, type Finding, findBad, firstBadParameter } from "./flight-recorder.ts";

interface Flight {
  /** The backend that was passed to the trainer. */
  readonly backend: Backend;
  readonly trainer: Trainer;
  readonly config: RunConfig;
  readonly vocabSize: number;
  readonly store: RecordStore | null;
  readonly team: Pick<RunTeam, "collect">;
}

const batchOf = (trainer: Trainer, step: number): RecordedBatch => {
  const passes = [...trainer.passes(step)];
  const ofDocuments = passes.some(({ segments }) => segments !== undefined);
  const tokens = passes.reduce((sum, pass) => sum + pass.x.length, 0);
  const time = ofDocuments ? tokens : (passes[0]?.time ?? 0);
  const rows = ofDocuments ? 1 : passes.reduce((sum, pass) => sum + pass.rows, 0);
  const [x, y] = [new Float32Array(tokens), new Float32Array(tokens)];
  let at = 0;
  for (const pass of passes) {
    x.set(pass.x, at);
    y.set(pass.y, at);
    at += pass.x.length;
  }
  if (!ofDocuments) return { x, y, rows, time };
  const segments = passes.flatMap(({ segments = [] }, pass) => segments.map((length) => ({ pass, length })));
  return { x, y, rows, time, segments };
};

const finiteOrNull = (value: number): number | null => (Number.isFinite(value) ? value : null);

const short = (value: number): string => String(Number(value.toPrecision(6)));

/** Path of the record, or the reason why it could not be written. */
type Kept = { readonly file: string | null } | { readonly refused: string };

/** The recorder's finding, as a part of a sentence. */
const inWords = (tensor: string): string =>
  tensor.startsWith(allFinite) ? tensor.slice(allFinite.length) : `first in ${tensor}`;

/**
 * The finding of the first machine whose own passes have the fault. A run on one machine would find the same.
 * @returns the finding; also the rank, if another rank has no fault.
 */
const firstOf = (findings: readonly Finding[]): { readonly finding: Finding; readonly on: string } => {
  const rank = findings.findIndex(({ isOwn }) => isOwn);
  const finding = findings[Math.max(rank, 0)];
  if (finding === undefined) throw new Error("a team must have machines");
  const othersAreWell = rank >= 0 && findings.some(({ isOwn }) => !isOwn);
  return { finding, on: othersAreWell ? ` on rank ${rank} of ${findings.length}` : "" };
};

const stopped = (
  { config }: Flight,
  { step }: Progress,
  { must }: Fault,
  { measured, tensor }: Finding,
  on: string,
  kept: Kept,
): ConfigError => {
  const { loss, gradNorm } = measured;
  const goesOn = config.train.onNonfinite !== "stop";
  const bad = [
    `${goesOn ? "one more: " : ""}loss ${short(loss)}, gradient norm ${short(gradNorm)}, ${inWords(tensor)}${on}`,
    ...("refused" in kept ? [`no record kept: ${kept.refused}`] : []),
  ];
  const file = "file" in kept ? kept.file : null;
  return new ConfigError({
    where: `step ${step + 1}`,
    must: goesOn ? `at most ${mostInARow} steps in a row may be left out` : must,
    got: bad.join("; "),
    // The message has only one hint, because its length is limited and the path of the record must fit.
    hint: file === null ? alternatives(calmer(step)) : `${calmer(step)[0]}; npx foretoken replay ${quotePath(file)}`,
  });
};

/**
 * Finds the first bad tensor, and writes the record of the step after `progress`.
 * @returns the event, if the run continues.
 * @throws ConfigError if the run stops.
 */
export const recordFault = async (flight: Flight, progress: Progress, fault: Fault): Promise<NonfiniteEvent> => {
  const { backend, trainer, config, vocabSize, store, team } = flight;
  const { onNonfinite } = config.train;
  const step = progress.step + 1;
  const values = await readPart(trainer.snapshot().weights);
  const { finding, on } = firstOf(await team.collect(await findBad(backend, trainer, progress.step, values)));
  const { measured, tensor } = finding;
  const { instructionSet, dtype } = backend.capabilities;
  const keep = async (): Promise<string | null> => {
    // The adapters alone are not enough to repeat the step.
    if (store?.saveRecord === undefined || config.lora !== undefined) return null;
    const chunks = recordChunks({
      ...measured,
      config: { ...config, train: { ...config.train, dtype } },
      vocabSize,
      step,
      reason: fault.kind,
      tensor,
      backend: backend.name,
      instructionSet,
      dtype,
      values,
      batch: batchOf(trainer, progress.step),
    });
    return store.saveRecord(recordName(step), chunks);
  };
  // A failed write, for example on a full disk, must not hide the step's fault. It must also not end a run that skips
  // the step.
  const kept = await keep().then(
    (file): Kept => ({ file }),
    (error: unknown): Kept => ({ refused: error instanceof Error ? error.message : String(error) }),
  );
  if (onNonfinite === "stop" || progress.leftOutInARow >= mostInARow) {
    throw stopped(flight, progress, fault, finding, on, kept);
  }
  const file = "file" in kept ? kept.file : null;
  const [loss, gradNorm] = [finiteOrNull(measured.loss), finiteOrNull(measured.gradNorm)];
  return { v, type: "nonfinite", step, loss, gradNorm, tensor, action: onNonfinite, file };
};

/**
 * Checks that weights and moments are finite. Call it before anything is saved.
 * @param step number of updates done.
 * @throws ConfigError if an update has made a weight or a moment infinite or NaN.
 */
export const checkHealth = async (trainer: Trainer, step: number): Promise<void> => {
  if (await trainer.isFinite()) return;
  const { weights, optimizer } = trainer.snapshot();
  const found: string[] = [];
  for (const part of [weights, ...optimizer]) {
    const name = firstBadParameter(part.layout, await readPart(part));
    if (name !== undefined) found.push(`${part === weights ? "weight" : "moment of"} ${name}`);
  }
  throw new ConfigError({
    where: `step ${step}`,
    must: "weights and moments must stay finite",
    got: `infinity or NaN in ${found[0] ?? "one of an earlier step"}`,
    hint: alternatives(calmer(1)),
  });
};
