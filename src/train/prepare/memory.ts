import { type MemoryKind, openCounting } from "../../backend/observers/counting.ts";
import { bytesPerElement } from "../../core/dtype.ts";
import { passRows } from "../../data/batches.ts";
import { createDecoder } from "../../generate/decoder.ts";
import { createGradients } from "../../models/gradients.ts";
import type { RunConfig } from "../config/config.ts";
import { evaluate, rowsPerBatch } from "../measuring/evaluate.ts";
import { arraysOfSum } from "../steps/gradient-sum.ts";
import { passesPerStep, tokensPerPass } from "../steps/passes.ts";
import { type StateLayout, stateLayouts, stateLength } from "../steps/state.ts";
import { undrawnTrainer } from "../steps/trainer.ts";

/** Memory of a run, in bytes. */
export interface MemoryEstimate {
  readonly weights: number;
  /** An array of all gradients and, if a step has several passes, the arrays for partial sums. */
  readonly gradients: number;
  /**
   * The optimizer's moments, and other lasting memory: its scratch, tables of positions, weights rounded to bfloat16.
   */
  readonly moments: number;
  /**
   * The most that steps, evaluations and samples hold besides: activations and their gradients, freed memory that the
   * backend keeps for the next step, and scratch memory of kernels.
   */
  readonly temporaries: number;
  /** Tensors on their way to a checkpoint, and the rollback state with onNonfinite "rollback"; 0 without both. */
  readonly saving: number;
  /** A checkpoint's arrays until the backend has them; 0 for a new run. */
  readonly loading: number;
  /** Tokens of the text. */
  readonly text: number;
  /** Memory for reading the text, besides its tokens: its bytes and its characters. */
  readonly reading: number;
  /** The program: Node with this library, its compiled code and its heap. 0 if unknown, as in a browser. */
  readonly program: number;
  /**
   * The most at one time: the program and the tokens, and with them either reading, or loading, or training with all
   * the rest.
   */
  readonly total: number;
}

/** What a run's memory depends on, besides its configuration. */
export interface MemoryNeeds {
  readonly vocabSize: number;
  /** Tokens of an evaluation. */
  readonly valTokens: number;
  /** Longest sample, in tokens; 0: none. */
  readonly sampleTokens: number;
  /** Whether checkpoints are written. */
  readonly saved: boolean;
  /** Whether the run goes on from a checkpoint. */
  readonly resumed: boolean;
  /** Bytes, as in `MemoryEstimate`. */
  readonly text: number;
  /** Bytes, as in `MemoryEstimate`. */
  readonly reading: number;
  /** Bytes, as in `MemoryEstimate`. */
  readonly program: number;
  /** Properties of the run's backend: float32 without tiles by default. */
  readonly kind?: MemoryKind;
}

/** Tokens of a prompt: about as many as `firstWord` gives. */
const promptTokens = 8;

/** The sizes of a batch's passes, at most two. */
const sizesOfPasses = (rows: number, contextLength: number): string => {
  const sizes = new Set<number>();
  let seen = 0;
  for (const size of passRows(rows, contextLength, tokensPerPass)) {
    sizes.add(size);
    // The sizes alternate: a second size that comes this late is of one pass in thousands.
    if (sizes.size === 2 || ++seen > tokensPerPass) break;
  }
  return [...sizes].sort((a, b) => a - b).join();
};

/** The fewest rows whose passes have the same sizes as those of `batchSize` rows. */
const rowsOfSamePasses = (batchSize: number, contextLength: number): number => {
  const wanted = sizesOfPasses(batchSize, contextLength);
  for (let rows = 1; rows < batchSize; rows++) if (sizesOfPasses(rows, contextLength) === wanted) return rows;
  return batchSize;
};

/** The fewest tokens whose evaluation batches have the same sizes as those of `valTokens`. */
const tokensOfSameBatches = (valTokens: number, contextLength: number): number => {
  const rows = rowsPerBatch(contextLength);
  const predictions = Math.max(0, valTokens - 1);
  const windows = Math.floor(predictions / contextLength);
  const few = windows <= rows ? windows : rows + (windows % rows);
  return few * contextLength + (predictions % contextLength) + 1;
};

/**
 * Host memory for writing a checkpoint. Tensors are written one after the other, each with at most one copy in another
 * layout; written tensors wait for the garbage collector.
 */
const writingBytes = (layouts: readonly StateLayout[]): number => {
  const largest = Math.max(0, ...layouts.flatMap(({ layout }) => layout.parameters.map(({ size }) => size)));
  const written = stateLength(layouts) * bytesPerElement.float32;
  return Math.min(written, 3 * largest * bytesPerElement.float32 + 2 ** 24);
};

/**
 * Host memory for saving a run's state: a checkpoint, and the rollback state with onNonfinite "rollback". Without a
 * store for it that state stays in memory, and the next one is beside it for a moment.
 */
export const savingBytes = (layouts: readonly StateLayout[], { train }: RunConfig, saved: boolean): number => {
  const state = stateLength(layouts) * bytesPerElement.float32;
  const rollback = train.onNonfinite === "rollback" ? (saved ? state : 2 * state) : 0;
  return Math.max(rollback, saved ? writingBytes(layouts) : 0);
};

/**
 * The memory that a run will need: within 15 % of the process's peak, for compiled backends. (The arrays of the
 * reference backend wait for the garbage collector, so their peak is unknown.)
 *
 * It runs steps, an evaluation and a sample on a backend that only counts: so it holds for every model and every
 * optimizer. Its time and memory grow with the model's layers and with a pass of 4,096 tokens, not with the batch.
 */
export const estimateMemory = async (config: RunConfig, needs: MemoryNeeds): Promise<MemoryEstimate> => {
  const { vocabSize, valTokens, sampleTokens, saved, resumed, text, reading, program, kind } = needs;
  const { contextLength } = config.model;
  const backend = openCounting(kind);
  const batchSize = rowsOfSamePasses(config.train.batchSize, contextLength);
  // Passes run one after the other: more passes need no more memory, except arrays for their gradients.
  const oneBatch = { ...config, train: { ...config.train, batchSize, gradAccumSteps: 1 } };
  const trainer = undrawnTrainer(backend, oneBatch, vocabSize, new Int32Array(contextLength + 1));
  const { model } = trainer;
  const sums = arraysOfSum(passesPerStep(config));
  for (let more = arraysOfSum(passesPerStep(oneBatch)); more < sums; more++) createGradients(model);
  const lasting = backend.bytesInUse();
  const arena = model.layout.length * bytesPerElement.float32;

  const ids = new Int32Array(tokensOfSameBatches(valTokens, contextLength));
  const sample = async (): Promise<void> => {
    const decoder = createDecoder(model);
    const last = promptTokens + sampleTokens - 1;
    const lengths = [promptTokens, promptTokens + 1, last].map((length) => Math.min(length, contextLength + 1));
    for (const length of new Set(lengths)) await decoder.next(Array<number>(length).fill(0));
    decoder.close();
  };
  // Each reuses the memory that the one before freed, in blocks of other sizes: so the order matters, and all run
  // twice.
  for (let round = 0; round < 2; round++) {
    for (let step = 0; step < Math.min(2, config.train.evalInterval); step++) await trainer.step(2 * round + step);
    await evaluate(model, { ids, characters: 1, bytes: 1 });
    if (sampleTokens > 0) await sample();
  }
  trainer.close();

  const temporaries = backend.peakTouched() - lasting + backend.scratchBytes();
  const layouts = stateLayouts(config, vocabSize);
  const saving = savingBytes(layouts, config, saved);
  const loading = resumed ? stateLength(layouts) * bytesPerElement.float32 : 0;
  // While a checkpoint is read, its bytes are in memory beside the arrays made of them.
  const inTurn = [reading + loading, 2 * loading - text, lasting + Math.max(temporaries + saving, loading)];
  return {
    weights: arena,
    gradients: sums * arena,
    moments: lasting - (1 + sums) * arena,
    temporaries,
    saving,
    loading,
    text,
    reading,
    program,
    total: program + text + Math.max(...inTurn),
  };
};
