import type { Backend } from "../../backend/backend.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { type Batch, firstRowOfPass, passRows } from "../../data/batches.ts";
import type { FlightRecord, RecordedSegment } from "../../runs/record/flight-record.ts";
import { type PassSource, passesPerStep, tokensOfPass } from "../../trainer/passes.ts";
import { trainerOn } from "../../trainer/trainer.ts";
import { type Finding, findBad } from "./flight-recorder.ts";

/** Result of a repeated step. */
export interface Replay extends Finding {
  /**
   * Whether the repeated step agrees with the record: bit for bit on the same backend and instruction set, and
   * approximately on others.
   */
  readonly reproduced: boolean;
  /** Whether backend, instruction set and dtype are the same as in the record. */
  readonly isSame: boolean;
}

/** The passes of a recorded batch of windows, divided as in the run. */
const passesOfWindows = ({ config, batch }: FlightRecord): PassSource => {
  const { batchSize } = config.train;
  const { time } = batch;
  const ofPass = tokensOfPass(config);
  const x = Int32Array.from(batch.x);
  const y = Int32Array.from(batch.y);
  return {
    *passes(_, microStep, range): Generator<Batch, void, undefined> {
      let row = microStep * batchSize + firstRowOfPass(batchSize, time, ofPass, range?.from ?? 0);
      for (const rows of passRows(batchSize, time, ofPass, range)) {
        const [from, to] = [row * time, (row + rows) * time];
        yield { x: x.subarray(from, to), y: y.subarray(from, to), rows, time };
        row += rows;
      }
    },
    sizeOf: () => ({ tokens: x.length, targets: x.length }),
    kind: "windows",
    perMicroBatch: passesPerStep(config, "windows") / config.train.gradAccumSteps,
  };
};

/** The passes of a recorded batch of documents. */
const passesOfSegments = ({ config, batch }: FlightRecord, segments: readonly RecordedSegment[]): PassSource => {
  const x = Int32Array.from(batch.x);
  const y = Int32Array.from(batch.y);
  const perMicroBatch = passesPerStep(config, "documents") / config.train.gradAccumSteps;
  const targets = y.reduce((sum, id) => sum + (id < 0 ? 0 : 1), 0);
  const passes = new Map<number, { readonly from: number; readonly lengths: number[]; time: number }>();
  let at = 0;
  for (const { pass, length } of segments) {
    const one = passes.get(pass) ?? { from: at, lengths: [], time: 0 };
    passes.set(pass, one);
    one.lengths.push(length);
    one.time += length;
    at += length;
  }
  return {
    *passes(_, microStep, { from: first, to } = { from: 0, to: perMicroBatch }): Generator<Batch, void, undefined> {
      for (let pass = first; pass < to; pass++) {
        const number = microStep * perMicroBatch + pass;
        const { from, lengths, time } = passes.get(number) ?? { from: 0, lengths: [], time: 0 };
        yield { x: x.subarray(from, from + time), y: y.subarray(from, from + time), rows: 1, time, segments: lengths };
      }
    },
    sizeOf: () => ({ tokens: x.length, targets }),
    kind: "documents",
    perMicroBatch,
  };
};

const recordedPasses = (record: FlightRecord): PassSource => {
  const { segments } = record.batch;
  return segments === undefined ? passesOfWindows(record) : passesOfSegments(record, segments);
};

/** Different instruction sets add numbers in different orders, so their sums are rounded differently. */
const nearly = (one: number, other: number): boolean =>
  Object.is(one, other) ||
  (Number.isFinite(one) ? Math.abs(one - other) <= 0.01 * Math.abs(one) : !Number.isFinite(other));

/**
 * Repeats a recorded step without changing a weight. Frees its memory on the backend.
 * @throws ConfigError for a record of a run with adapters or teachers: it lacks the weights of the other models.
 */
export const replay = async (backend: Backend, record: FlightRecord): Promise<Replay> => {
  const { config, vocabSize, step, loss, gradNorm, tensor, values } = record;
  if (config.lora !== undefined) {
    throw new ConfigError({
      where: "replay",
      must: "the record must have all weights of its model",
      got: "only the weights of adapters (LoRA)",
    });
  }
  if (config.train.teacher !== undefined) {
    throw new ConfigError({
      where: "replay",
      must: "the record must have all models of its step",
      got: "a step that learned from teachers (train.teacher), which the record lacks",
    });
  }
  const trainer = trainerOn(backend, config, vocabSize, recordedPasses(record));
  try {
    backend.write(trainer.model.arena.storage, values);
    const found = await findBad(backend, trainer, step - 1, values);
    const { instructionSet, dtype } = backend.capabilities;
    const isSame =
      backend.name === record.backend && instructionSet === record.instructionSet && dtype === record.dtype;
    const same = isSame ? Object.is : nearly;
    const reproduced =
      same(loss, found.measured.loss) &&
      same(gradNorm, found.measured.gradNorm) &&
      (!isSame || tensor === found.tensor);
    return { ...found, reproduced, isSame };
  } finally {
    trainer.close();
  }
};
