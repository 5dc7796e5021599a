import { type MemoryKind, openCounting } from "../backend/counting.ts";
import { bytesPerElement } from "../core/dtype.ts";
import { createDecoder } from "../generate/decoder.ts";
import type { RunConfig } from "./config.ts";
import { evaluate, rowsPerBatch } from "./evaluate.ts";
import { undrawnTrainer } from "./trainer.ts";

/** What a run takes of memory, in bytes. */
export interface MemoryEstimate {
  readonly weights: number;
  readonly gradients: number;
  /** The optimizer's, with what else lasts: its scratch, and tables of positions. */
  readonly moments: number;
  /** The most that activations, their gradients and scratch copies take at one time: of a step, an evaluation or a sample. */
  readonly temporaries: number;
  /** Copies of weights and moments on their way to a checkpoint; 0 where nothing is saved. */
  readonly saving: number;
  /** All of these. */
  readonly total: number;
}

/**
 * The memory that a run will take. The first four figures are those of `Backend.bytesInUse`, exactly; scratch memory
 * of kernels, the text and the program itself come on top.
 *
 * Found by doing what a run does, a step, an evaluation, a sample, on a backend that only counts: so it holds for every
 * model and every optimizer.
 *
 * @param valTokens tokens that evaluations go over.
 * @param saved whether checkpoints are written.
 * @param kind of the run's backend: float32 without tiles unless told otherwise.
 */
export const estimateMemory = async (
  config: RunConfig,
  vocabSize: number,
  valTokens: number,
  saved: boolean,
  kind?: MemoryKind,
): Promise<MemoryEstimate> => {
  const { contextLength } = config.model;
  const backend = openCounting(kind);
  // Micro-batches come one after the other: more of them take no more.
  const oneBatch = { ...config, train: { ...config.train, gradAccumSteps: 1 } };
  const trainer = undrawnTrainer(backend, oneBatch, vocabSize, new Int32Array(contextLength + 1));
  const { model } = trainer;
  const lasting = backend.bytesInUse();
  const arena = model.layout.length * bytesPerElement.float32;

  await trainer.step(0);
  const firstBatch = Math.min(valTokens, rowsPerBatch(contextLength) * contextLength + 1);
  await evaluate(model, { ids: new Int32Array(firstBatch), characters: 1, bytes: 1 });
  const decoder = createDecoder(model);
  for (const length of [contextLength - 1, contextLength, contextLength + 1].filter((one) => one > 0))
    await decoder.next(Array<number>(length).fill(0));
  decoder.close();
  trainer.close();

  const temporaries = backend.peakBytes() - lasting;
  const saving = saved ? 3 * arena : 0;
  return {
    weights: arena,
    gradients: arena,
    moments: lasting - 2 * arena,
    temporaries,
    saving,
    total: lasting + temporaries + saving,
  };
};
