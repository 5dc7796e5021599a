import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Backend, Storage } from "../backend/backend.ts";
import { allocateAll } from "../backend/memory/allocate-all.ts";
import { freeOnce } from "../backend/memory/free-once.ts";
import { checkBackend, checkWhole } from "../core/checks/check-arguments.ts";
import { parseConfig } from "../core/checks/config.ts";
import { plainData } from "../core/checks/plain-data.ts";
import { closeOnError } from "../core/errors/close-on-error.ts";
import { ConfigError, ShapeError } from "../core/errors/errors.ts";
import type { RealDType } from "../core/tensors/dtype.ts";
import { show } from "../core/text/show.ts";
import type { AngleTables } from "../nn/layer-spec.ts";
import { type RotaryTable, rotaryAngles } from "../ops/rotary.ts";
import { endOf, type Segments } from "../ops/segments.ts";
import { type Arena, type ArenaLayout, arenaLayout, createArena, createFrozenArena, initialise } from "./arena.ts";
import { type BlockArena, type BlockRows, createBlockArena } from "./block-arena.ts";
import { type ModelConfig, modelConfigSchema, type RopeConfig, rotaryDimOf } from "./config.ts";
import { layerOf } from "./layers.ts";
import type { Adapter } from "./lora/adapter.ts";
import { createWeightCopies, type RoundedWeights } from "./rounded-weights.ts";
import { declareTransformer, type TransformerTensors } from "./transformer.ts";

/**
 * A model in a backend's memory.
 * @experimental
 */
export interface Model {
  /** Its shape. */
  readonly config: ModelConfig;
  /** Number of token ids, V. */
  readonly vocabSize: number;
  /** Has its weights, and computes. */
  readonly backend: Backend;
  /** Places of its parameters. */
  readonly layout: ArenaLayout;
  /** The weights as one flat array; of a frozen model the matrices alone. */
  readonly arena: Arena;
  /**
   * Whether the matrices are bfloat16 alone, half the memory of float32: the model computes, but cannot be trained or saved.
   */
  readonly frozen: boolean;
  /**
   * Low-rank adapters beside its weights: training then changes these alone, and the weights stay as they are. null: none.
   */
  readonly adapter: Adapter | null;
  /** Its weights as tensors, layer by layer. */
  readonly parameters: TransformerTensors;
  /**
   * Copies weights in, for the elements of the layout from `offset` on. A frozen model rounds those of matrices, and takes
   * 16-bit words of bfloat16 too.
   */
  writeWeights(values: Float32Array | Uint16Array, offset: number): void;
  /**
   * The matrices rounded to what products are multiplied from, as the weights are now; null where products are multiplied
   * from the weights themselves, as in a frozen model. They are made once, and again after an update or `weightsChanged`.
   */
  rounded(): RoundedWeights | null;
  /** To be called by who has written to the weights other than by an optimizer's update: copies of them are then old. */
  weightsChanged(): void;
  /** Frees the weights. */
  close(): void;
}

/** The parameters of a model by name, shape and place, without making it. */
export const modelLayout = (config: ModelConfig, vocabSize: number): ArenaLayout =>
  arenaLayout((declare) => declareTransformer(declare, config, vocabSize));

/** The rotary angles of every position of the context. */
const createTable = (
  backend: Backend,
  config: ModelConfig,
  position: Pick<RopeConfig, "theta" | "fraction" | "scaling">,
  real: RealDType,
): RotaryTable => {
  const { contextLength } = config;
  const rotaryDim = rotaryDimOf(config, position);
  const half = rotaryDim / 2;
  const length = contextLength * half;
  const [cos, sin] = allocateAll(backend, real, [length, length]) as [Storage, Storage];
  const write = (storage: Storage, values: Float64Array, at: number): void =>
    backend.write(storage, real === "float32" ? Float32Array.from(values) : values, at);
  // By parts: on the way there they take twice the room.
  const rows = Math.ceil(2 ** 16 / half);
  for (let first = 0; first < contextLength; first += rows) {
    const count = Math.min(rows, contextLength - first);
    const angles = rotaryAngles(count, rotaryDim, position.theta, position.scaling, first);
    write(cos, angles.cos, first * half);
    write(sin, angles.sin, first * half);
  }
  const tensor = (storage: Storage): Tensor => ({ storage, offset: 0, shape: [contextLength, half] });
  return { cos: tensor(cos), sin: tensor(sin) };
};

const freeTable = (backend: Backend, table: RotaryTable | null): void => {
  if (table === null) return;
  backend.free(table.cos.storage);
  backend.free(table.sin.storage);
};

/** The tables that any layer of the model reads. A failure leaves no memory taken. */
const createAngles = (backend: Backend, config: ModelConfig, real: RealDType): AngleTables => {
  const { position, window, nLayer } = config;
  const used = new Set(Array.from({ length: nLayer }, (_, i) => layerOf(config, i).angles));
  if (position.kind !== "rope") return { main: null, window: null };
  const main = used.has("main") ? createTable(backend, config, position, real) : null;
  if (!used.has("window") || window?.theta === undefined) return { main, window: null };
  const { theta } = window;
  const { fraction } = position;
  const ofWindow = closeOnError(
    () => freeTable(backend, main),
    () => createTable(backend, config, { theta, fraction }, real),
  );
  return { main, window: ofWindow };
};

/** A model's weights, and the two things that differ between a frozen model and others. */
interface Weights {
  readonly arena: Arena;
  readonly frozen: boolean;
  readonly rounded: Model["rounded"];
  write(values: Float32Array | Uint16Array, offset: number): void;
  close(): void;
}

/** Makes the rest of a model: its rotary angles. A failure closes the weights. */
const modelOver = (
  backend: Backend,
  config: ModelConfig,
  vocabSize: number,
  { layout, weights, real }: { layout: ArenaLayout; weights: Weights; real: RealDType },
): Model => {
  const { arena, frozen, rounded, write, close } = weights;
  const parameters = declareTransformer(
    ({ name }) => {
      const tensor = arena.tensors.get(name);
      if (tensor === undefined) throw new Error(`parameter ${name} was not laid out`);
      return tensor;
    },
    config,
    vocabSize,
  );
  const angles = closeOnError(close, () => createAngles(backend, config, real));
  const weightsChanged = (): void => {
    arena.changes.count++;
  };
  return {
    config,
    vocabSize,
    backend,
    layout,
    arena,
    frozen,
    adapter: null,
    parameters: { ...parameters, angles },
    writeWeights(values, offset) {
      write(values, offset);
      weightsChanged();
    },
    rounded,
    weightsChanged,
    close: freeOnce(backend, () => {
      close();
      freeTable(backend, angles.main);
      freeTable(backend, angles.window);
    }),
  };
};

/** A model with all weights zero: `initialise` or a checkpoint fills them. A failure leaves no memory taken. */
export const createModel = (
  backend: Backend,
  config: ModelConfig,
  vocabSize: number,
  real: RealDType = "float32",
): Model => {
  const layout = modelLayout(config, vocabSize);
  const arena = createArena(backend, layout, real);
  const copies = createWeightCopies(backend, layout, arena);
  const weights: Weights = {
    arena,
    frozen: false,
    rounded: copies.current,
    write: (values, offset) => backend.write(arena.storage, values, offset),
    close() {
      copies.close();
      backend.free(arena.storage);
    },
  };
  return modelOver(backend, config, vocabSize, { layout, weights, real });
};

/** Whether a backend can hold a frozen model: its products multiply bfloat16. */
export const canFreeze = ({ capabilities }: Backend): boolean => capabilities.activations === "bfloat16";

/**
 * A model that only computes, on a backend that `canFreeze`: its matrices are bfloat16 alone. Its logits are to the bit those
 * of a float32 model with the same rounded matrices. (A float32 model on the same backend adds token and position vectors as
 * they are; here those are matrices too, so rounded.) `writeWeights` fills the weights, which are undefined at first. A failure
 * leaves no memory taken.
 */
export const createFrozenModel = (backend: Backend, config: ModelConfig, vocabSize: number): Model => {
  const layout = modelLayout(config, vocabSize);
  const arena = createFrozenArena(backend, layout);
  const weights: Weights = { arena, frozen: true, rounded: () => null, write: arena.write, close: arena.close };
  return modelOver(backend, config, vocabSize, { layout, weights, real: "float32" });
};

/** A model whose matrices are in blocks of few bits, where a file has them so. */
export interface BlockModel extends Model {
  /** See BlockArena. */
  readonly blocks: Pick<BlockArena, "isBlocks" | "writeBlocks">;
}

/**
 * A model that only computes, whose matrices are as a file has them: products round the rows that they multiply to 8 bits. Others are as
 * in a frozen model, or float32 where a backend cannot freeze. `writeWeights` and `blocks` fill the weights, which are undefined at
 * first. A failure leaves no memory taken.
 */
export const createBlockModel = (
  backend: Backend,
  config: ModelConfig,
  vocabSize: number,
  rows: readonly BlockRows[],
): BlockModel => {
  const layout = modelLayout(config, vocabSize);
  const arena = createBlockArena(backend, layout, rows, canFreeze(backend));
  const weights: Weights = { arena, frozen: true, rounded: () => null, write: arena.write, close: arena.close };
  return { ...modelOver(backend, config, vocabSize, { layout, weights, real: "float32" }), blocks: arena };
};

/** The part of a model that training changes. */
export type TrainedPart = Pick<Model, "layout" | "arena"> | Adapter;

/** A model's weights, or those of its adapters if it has some. */
export const trainedPart = ({ adapter, layout, arena }: Model): TrainedPart => adapter ?? { layout, arena };

/** @throws ConfigError for a frozen model: its float32 weights are not there. */
export const checkTrainable = (where: string, { frozen, arena }: Model): void => {
  if (!frozen) return;
  const must = "the model must have float32 weights";
  if ([...arena.tensors.values()].some(({ blocks }) => blocks !== undefined)) {
    const hint = 'loadPretrained(…, { dtype: "float32", keepBlocks: false })';
    throw new ConfigError({ where, must, got: "a model with weights of 4 to 8 bits", hint });
  }
  const hint = 'loadPretrained(…, { dtype: "float32" })';
  throw new ConfigError({ where, must, got: "a model with bfloat16 weights alone", hint });
};

/** @throws ConfigError for a model with heads switched off: its weights alone would be saved. */
export const checkAllHeads = (where: string, { parameters }: Model): void => {
  if (parameters.blocks.every(({ attention }) => attention.headsOff === undefined)) return;
  throw new ConfigError({
    where,
    must: "the model must have all of its heads: its weights would be saved with them",
    got: "one of withoutHeads",
    hint: "the model that it was made of",
  });
};

/**
 * A model before any training: its weights are drawn from normal distributions, each a function of the seed alone.
 * @experimental
 * @param config checked; a preset's, as `{ ...presets.quick.model, nLayer: 3 }`.
 * @param vocabSize tokens that there are, as `tokenizer.vocabSize`.
 * @param seed a whole number from 0.
 * @returns a model whose weights are the caller's to free, with `close`.
 * @throws ConfigError naming the first field that cannot work.
 */
export const freshModel = (backend: Backend, config: ModelConfig, vocabSize: number, seed: number): Model => {
  checkBackend("freshModel: backend", backend);
  checkWhole("freshModel: vocabSize", vocabSize, 1);
  checkWhole("freshModel: seed", seed);
  const model = createModel(backend, parseConfig(modelConfigSchema, plainData(config, "model"), "model"), vocabSize);
  closeOnError(model.close, () => initialise(backend, model.layout, model.arena, seed));
  return model;
};

/** @throws ShapeError unless every id is a whole number in [0, vocabSize). */
export const checkIds = ({ vocabSize }: Model, ids: ArrayLike<number>): void => {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number;
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw new ShapeError({
        where: "model",
        must: `token ids must be whole numbers in [0, ${vocabSize})`,
        got: `${show(id)} at position ${i}`,
      });
    }
  }
};

/**
 * Checks token ids and copies them to the model's backend.
 * @param ids [batch · time], row after row, each a whole number in [0, vocabSize).
 * @throws ShapeError if an id is none of these or a row is longer than the context.
 */
export const uploadIds = (
  context: Context,
  model: Model,
  ids: ArrayLike<number>,
  batch: number,
  time: number,
): Tensor => {
  const { config } = model;
  if (time < 1 || time > config.contextLength || ids.length !== batch * time) {
    throw new ShapeError({
      where: "model",
      must: `a sequence must have 1 to ${config.contextLength} tokens (the context length)`,
      got: `${ids.length} tokens in ${batch} rows of ${time}`,
      hint: `the last ${config.contextLength} tokens`,
    });
  }
  checkIds(model, ids);
  return context.memory.upload(ids instanceof Int32Array ? ids : Int32Array.from(ids), [batch, time]);
};

/**
 * The same for sequences of different lengths, one after the other: [1, rows].
 * @throws ShapeError if an id is no token, or a sequence is longer than the context with what comes before it.
 */
export const uploadSegments = (context: Context, model: Model, ids: ArrayLike<number>, segments: Segments): Tensor => {
  const { contextLength } = model.config;
  const { rows } = segments;
  const longest = endOf(segments);
  if (longest > contextLength || ids.length !== rows) {
    throw new ShapeError({
      where: "model",
      must: `segments must have ${rows} tokens in all and end within ${contextLength} (the context length)`,
      got: `${ids.length} tokens, and an end at ${longest}`,
    });
  }
  checkIds(model, ids);
  return context.memory.upload(Int32Array.from(ids), [1, rows]);
};
