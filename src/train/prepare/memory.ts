import { type MemoryKind, openCounting } from "../../backend/observers/counting.ts";
import { defaultRows, type RunConfig, type TrainerConfig } from "../../config/config.ts";
import { bytesPerElement } from "../../core/tensors/dtype.ts";
import { passCount, passRows } from "../../data/batches.ts";
import type { Documents } from "../../data/documents.ts";
import { createSequenceEngine } from "../../engine/engine.ts";
import { evaluate, rowsPerBatch } from "../../evaluate/evaluate.ts";
import { type BlockRows, bytesOfTensor } from "../../models/block-arena.ts";
import type { ModelConfig } from "../../models/config.ts";
import { createGradients } from "../../models/gradients.ts";
import { canFreeze, createFrozenModel, createModel, type Model, trainedPart } from "../../models/model.ts";
import type { MemoryEstimate } from "../../runs/memory-estimate.ts";
import { isOfAverage } from "../../trainer/average-layouts.ts";
import { arraysOfSum } from "../../trainer/gradient-sum.ts";
import { type PassSource, passesOfText, passesPerStep, tokensOfPass, tokensPerPass } from "../../trainer/passes.ts";
import { type Division, divisionOf } from "../../trainer/passes-beside.ts";
import { type StateLayout, stateLayouts, stateLength } from "../../trainer/state.ts";
import { alone } from "../../trainer/team.ts";
import { trainerOn } from "../../trainer/trainer.ts";

/** Facts other than the configuration that determine a run's memory. */
export interface MemoryNeeds {
  readonly vocabSize: number;
  /** Number of tokens of an evaluation. */
  readonly valTokens: number;
  /** Length of the longest sample, in tokens; 0 for no sample. */
  readonly sampleTokens: number;
  /** Whether the run writes checkpoints. */
  readonly saved: boolean;
  /** Whether the run resumes from a checkpoint. */
  readonly resumed: boolean;
  /** Bytes, as in `MemoryEstimate`. */
  readonly text: number;
  /** Bytes, as in `MemoryEstimate`. */
  readonly reading: number;
  /** Bytes, as in `MemoryEstimate`. */
  readonly program: number;
  /** For documents, whose passes differ in length: number of tokens of the longest row. Absent for a text. */
  readonly longestRow?: number | undefined;
  /** Properties of the run's backend. Default: float32 without tiles. */
  readonly kind?: MemoryKind;
  /** Number of machines that train together; the estimate is for one of them. Default 1. */
  readonly ranks?: number | undefined;
  /** Rows of the base model that stay in blocks of 4 to 8 bits under adapters. Default: none. */
  readonly baseRows?: readonly BlockRows[] | undefined;
  /** The models that the run learns from. Default: none. */
  readonly teachers?: readonly ModelConfig[] | undefined;
}

/** Assumed number of tokens of a prompt: about the length of what `firstWord` returns. */
const promptTokens = 8;

/** The different sizes of a batch's passes, if each pass has about `tokens` tokens. There are at most two sizes. */
const sizesOfPasses = (rows: number, contextLength: number, tokens: number): string => {
  const sizes = new Set<number>();
  let seen = 0;
  for (const size of passRows(rows, contextLength, tokens)) {
    sizes.add(size);
    // The sizes alternate. A second size that appears this late belongs to one pass in thousands, so it is ignored.
    if (sizes.size === 2 || ++seen > tokens) break;
  }
  return [...sizes].sort((a, b) => a - b).join();
};

/** The smallest number of rows whose passes have the same sizes as the passes of `batchSize` rows. */
const rowsOfSamePasses = (batchSize: number, contextLength: number, tokens: number): number => {
  const wanted = sizesOfPasses(batchSize, contextLength, tokens);
  for (let rows = 1; rows < batchSize; rows++) if (sizesOfPasses(rows, contextLength, tokens) === wanted) return rows;
  return batchSize;
};

/** The smallest number of tokens whose evaluation batches have the same sizes as the batches of `valTokens` tokens. */
const tokensOfSameBatches = (valTokens: number, contextLength: number): number => {
  const rows = rowsPerBatch(contextLength);
  const predictions = Math.max(0, valTokens - 1);
  const windows = Math.floor(predictions / contextLength);
  const few = windows <= rows ? windows : rows + (windows % rows);
  return few * contextLength + (predictions % contextLength) + 1;
};

/**
 * Host memory for writing a checkpoint. Tensors are written one by one, and each may have one copy in another layout.
 * Written tensors stay until the garbage collector runs.
 */
const writingBytes = (layouts: readonly StateLayout[]): number => {
  const largest = Math.max(0, ...layouts.flatMap(({ layout }) => layout.parameters.map(({ size }) => size)));
  const written = stateLength(layouts) * bytesPerElement.float32;
  return Math.min(written, 3 * largest * bytesPerElement.float32 + 2 ** 24);
};

/**
 * Host memory for saving a run's state: a checkpoint and, with onNonfinite "rollback", the rollback state. Without a
 * store the rollback state stays in memory, and for a moment memory holds both the old state and the new state.
 */
export const savingBytes = (layouts: readonly StateLayout[], { train }: RunConfig, saved: boolean): number => {
  const state = stateLength(layouts) * bytesPerElement.float32;
  const rollback = train.onNonfinite === "rollback" ? (saved ? state : 2 * state) : 0;
  return Math.max(rollback, saved ? writingBytes(layouts) : 0);
};

const bytesOf = (layouts: readonly StateLayout[]): number => stateLength(layouts) * bytesPerElement.float32;

/** Bytes of a model's weights. Matrices may be in blocks; frozen matrices may be stored in bfloat16 only. */
const weightBytes = ({ arena, frozen, layout: { length, decayed } }: Model): number => {
  const tensors = [...arena.tensors.values()];
  if (tensors.every(({ blocks }) => blocks === undefined))
    return length * bytesPerElement.float32 - (frozen ? decayed * bytesPerElement.bfloat16 : 0);
  return tensors.reduce((sum, tensor) => sum + bytesOfTensor(tensor), 0);
};

/**
 * Bytes that this machine saves because other machines hold their share of the moments, minus the bytes of messages.
 */
const bytesElsewhere = (layouts: readonly StateLayout[], ranks: number, kind: MemoryKind | undefined): number => {
  if (ranks === 1) return 0;
  const [{ layout }, ...others] = layouts as readonly [StateLayout, ...StateLayout[]];
  // Each machine holds the whole average of the weights.
  const moments = others.filter((one) => !isOfAverage(one));
  const copied = kind?.name === "native" ? 0 : copiedAtATime;
  const messages = Math.min(layout.length, messagesAtATime + copied) * bytesPerElement.float32;
  return Math.floor(stateLength(moments) * bytesPerElement.float32 * (1 - 1 / ranks)) - messages;
};

/** Number of elements in messages that are being sent or received: four sums of 2²⁰ elements in each direction. */
const messagesAtATime = 8 * 2 ** 20;

/** Number of elements copied for messages, where the backend does not give access to its memory. */
const copiedAtATime = 4 * 2 ** 20;

/** Lengths of the passes of successive steps, as fractions of the longest pass. Packed rows are nearly full. */
const sharesOfPasses = { packed: [1, 0.94, 1, 0.97], one: [1, 0.7, 0.85, 0.55] } as const;

/** Makes passes of documents. The first pass is as long as the run's longest pass; later passes are shorter. */
const documentPasses = ({ model, train }: TrainerConfig, longestRow: number): PassSource => {
  const shares = sharesOfPasses[train.rows ?? defaultRows];
  return {
    *passes(step, _microStep, range) {
      const share = shares[step % shares.length] ?? 1;
      for (const rows of passRows(train.batchSize, model.contextLength, tokensPerPass, range)) {
        // Several short rows share one pass.
        const most = Math.min(rows * model.contextLength, train.batchSize * longestRow);
        const time = Math.max(1, Math.round(share * most));
        const segments = Array.from({ length: Math.ceil(time / longestRow) }, (_, i) =>
          Math.min(longestRow, time - i * longestRow),
        );
        yield { x: new Int32Array(time), y: new Int32Array(time), rows: 1, time, segments };
      }
    },
    sizeOf: () => ({ tokens: 1, targets: 1 }),
    kind: "documents",
    perMicroBatch: passCount(train.batchSize, model.contextLength, tokensPerPass),
  };
};

/** The same tokens, as documents that each fill one window. */
const fullDocuments = (ids: Int32Array, contextLength: number): Documents => {
  const count = Math.max(1, Math.floor(ids.length / (contextLength + 1)));
  const starts = Int32Array.from({ length: count + 1 }, (_, i) => Math.min(ids.length, i * (contextLength + 1)));
  return { ids, counted: new Uint8Array(ids.length).fill(1), starts };
};

/** How a backend of this kind divides the passes between threads. */
const divisionLike = (kind: MemoryKind | undefined, passes: number): Division | undefined =>
  kind === undefined || kind.name === "reference" ? undefined : divisionOf(passes, kind.threads ?? 1);

/**
 * Estimates the memory that a run will need. For compiled backends, the estimate is 95 to 115 % of the process's peak.
 * (The arrays of the reference backend wait for the garbage collector, so their peak is unknown.)
 * The function runs steps, an evaluation and a sample on a backend that only counts allocations, so it works for every
 * model and every optimizer. Its own time and memory grow with the number of layers and with the cost of a pass of
 * 4,096 tokens, but not with the batch.
 */
export const estimateMemory = async (config: RunConfig, needs: MemoryNeeds): Promise<MemoryEstimate> => {
  const {
    vocabSize,
    valTokens,
    sampleTokens,
    saved,
    resumed,
    text,
    reading,
    program,
    longestRow,
    kind,
    ranks = 1,
    baseRows = [],
    teachers = [],
  } = needs;
  const { contextLength } = config.model;
  const backend = openCounting(kind);
  const documents = longestRow !== undefined;
  const ofPass = documents ? tokensPerPass : tokensOfPass(config);
  const passes = Math.ceil(passesPerStep(config, documents ? "documents" : "windows") / ranks);
  const division = documents ? undefined : divisionLike(kind, passes);
  const batchSize = rowsOfSamePasses(config.train.batchSize, contextLength, ofPass);
  // A branch runs its passes one by one, so more passes need no more memory, except for gradient arrays.
  const gradAccumSteps = Math.ceil((division?.branches ?? 1) / passCount(batchSize, contextLength, ofPass));
  const few = { ...config, train: { ...config.train, batchSize, gradAccumSteps } };
  const source = documents
    ? documentPasses(few, longestRow)
    : passesOfText(few, new Int32Array(contextLength + 1), ofPass);
  const taught = teachers.map((one) => (canFreeze(backend) ? createFrozenModel : createModel)(backend, one, vocabSize));
  for (const teacher of taught) teacher.rounded();
  const trainer = trainerOn(backend, few, vocabSize, source, alone, () => division, baseRows, taught);
  const { model, base } = trainer;
  const made = arraysOfSum(gradAccumSteps * source.perMicroBatch);
  const sums = Math.max(made, arraysOfSum(passes));
  for (let more = made; more < sums; more++) createGradients(model);
  const layouts = stateLayouts(config, vocabSize);
  const elsewhere = bytesElsewhere(layouts, ranks, kind);
  const averages = bytesOf(layouts.filter(isOfAverage));
  const held = backend.bytesInUse();
  const lasting = held - elsewhere;
  const trained = trainedPart(model).layout.length * bytesPerElement.float32;
  const others = taught.reduce((sum, teacher) => sum + weightBytes(teacher), 0);
  const weights = trained + (base === null ? 0 : weightBytes(base)) + others;

  const ids = new Int32Array(tokensOfSameBatches(valTokens, contextLength));
  const sample = async (): Promise<void> => {
    const engine = createSequenceEngine(model, { cacheBytes: 1, maxSequences: 1 });
    const write = (length: number, maxNewTokens: number): Promise<void> => {
      const prompt = Array<number>(Math.min(length, contextLength + 1)).fill(0);
      return engine.write({ model, prompt, maxNewTokens, choose: () => 0 }).ended;
    };
    // The first sample has two tokens. The second one has the full length, so it fills all pages or recomputes its
    // window.
    await write(promptTokens, Math.min(2, sampleTokens));
    await write(promptTokens + sampleTokens - 1, 1);
    await engine.close();
  };
  // Each part (steps, evaluation, sample) reuses memory that the previous part freed, but in blocks of other sizes. So
  // the order matters, and all parts run twice.
  for (let round = 0; round < 2; round++) {
    for (let step = 0; step < Math.min(2, config.train.evalInterval); step++) await trainer.step(2 * round + step);
    const measured = {
      ids,
      characters: 1,
      bytes: 1,
      ...(documents ? { documents: fullDocuments(ids, contextLength) } : {}),
    };
    await evaluate(model, measured);
    await trainer.average?.during(round + 1, () => evaluate(model, measured));
    if (sampleTokens > 0) await sample();
  }
  trainer.close();

  const temporaries = backend.peakTouched() - held + backend.scratchBytes();
  const saving = savingBytes(layouts, config, saved);
  // Weights in blocks are read in small pieces, so they need no extra memory.
  const collected = base === null || baseRows.length > 0 ? 0 : base.layout.length;
  const loaded = (resumed ? stateLength(layouts) : 0) + collected;
  const loading = loaded * bytesPerElement.float32;
  // While a checkpoint is read, memory holds its bytes and the arrays made from them.
  const inTurn = [reading + loading, 2 * loading - text, lasting + Math.max(temporaries + saving, loading)];
  return {
    weights,
    gradients: sums * trained,
    moments: lasting - weights - sums * trained - averages,
    averages,
    temporaries,
    saving,
    loading,
    text,
    reading,
    program,
    total: program + text + Math.max(...inTurn),
  };
};
