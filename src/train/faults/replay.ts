import type { Backend } from "../../backend/backend.ts";
import { type Batch, passRows } from "../../data/batches.ts";
import { type PassSource, tokensPerPass } from "../steps/passes.ts";
import { trainerOn } from "../steps/trainer.ts";
import type { FlightRecord } from "./flight-record.ts";
import { type Finding, findBad } from "./flight-recorder.ts";

/** Result of a repeated step. */
export interface Replay extends Finding {
  /** Whether it agrees with the record: to the bit on the same backend and instruction set, else nearly. */
  readonly reproduced: boolean;
  /** Whether backend, instruction set and dtype are the same as in the record. */
  readonly isSame: boolean;
}

/** The passes of the recorded batch, as in the run. */
const recordedPasses = ({ config, batch }: FlightRecord): PassSource => {
  const { batchSize } = config.train;
  const { time } = batch;
  const x = Int32Array.from(batch.x);
  const y = Int32Array.from(batch.y);
  return function* (_, microStep): Generator<Batch, void, undefined> {
    let row = microStep * batchSize;
    for (const rows of passRows(batchSize, time, tokensPerPass)) {
      const [from, to] = [row * time, (row + rows) * time];
      yield { x: x.subarray(from, to), y: y.subarray(from, to), rows, time };
      row += rows;
    }
  };
};

/** Instruction sets round sums at different places. */
const nearly = (one: number, other: number): boolean =>
  Object.is(one, other) ||
  (Number.isFinite(one) ? Math.abs(one - other) <= 0.01 * Math.abs(one) : !Number.isFinite(other));

/** Repeats a recorded step, without changing a weight. Frees its memory on the backend. */
export const replay = async (backend: Backend, record: FlightRecord): Promise<Replay> => {
  const { config, vocabSize, step, loss, gradNorm, tensor, values } = record;
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
