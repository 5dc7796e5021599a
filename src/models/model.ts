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
  /** Backend that stores the weights and runs the kernels. */
  readonly backend: Backend;
  /** Offsets of the model's parameters. */
  readonly layout: ArenaLayout;
  /** The weights as one flat array. In a frozen model this array contains only the matrices. */
  readonly arena: Arena;
  /**
   * Whether the matrices are stored only as bfloat16, in half the memory of float32. Such a model is only for
   * inference: it cannot be trained or saved.
   */
  readonly frozen: boolean;
  /**
   * Low-rank adapters. If the model has adapters, training changes only the adapters, not the weights. Null if it has
   * no adapters.
   */
  readonly adapter: Adapter | null;
  /** The weights as tensors, layer by layer. */
  readonly parameters: TransformerTensors;
  /**
   * Copies the values of weights into the elements of the layout from `offset` on. A frozen model rounds the values of
   * matrices, and also accepts 16-bit bfloat16 words.
   */
  writeWeights(values: Float32Array | Uint16Array, offset: number): void;
  /**
   * Returns up-to-date bfloat16 copies of the matrices. Matrix products read these copies. Null if products read the
   * weights themselves, as in a frozen model. The copies are made at the first use, and again after an update or
   * `weightsChanged`.
   */
  rounded(): RoundedWeights | null;
  /**
   * Call this after any change of the weights except an optimizer's update. The call marks copies of the weights as out
   * of date.
   */
  weightsChanged(): void;
  /** Frees the weights. */
  close(): void;
}

/** Name, shape and offset of each parameter of a model. No memory is allocated. */
export const modelLayout = (config: ModelConfig, vocabSize: number): ArenaLayout =>
  arenaLayout((declare) => declareTransformer(declare, config, vocabSize));

/** Rotary angles for every position of the context. */
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
  // The tables are written in parts, so that the temporary copies are small.
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

/** Tables of angles that the layers of the model read. If allocation fails, it frees all memory. */
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

/** The weights of a model, and the two functions that a frozen model implements differently. */
interface Weights {
  readonly arena: Arena;
  readonly frozen: boolean;
  readonly rounded: Model["rounded"];
  write(values: Float32Array | Uint16Array, offset: number): void;
  close(): void;
}

/** Builds a model from its weights and adds the rotary angles. If this fails, it closes the weights. */
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
      if (tensor === undefined) throw new Error(`the layout has no parameter ${name}`);
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

/**
 * Creates a model with all weights zero. `initialise` or a checkpoint fills the weights. If creation fails, it frees
 * all memory.
 */
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

/** Whether a backend supports frozen models. The backend's products must multiply bfloat16. */
export const canFreeze = ({ capabilities }: Backend): boolean => capabilities.activations === "bfloat16";

/**
 * Creates a model only for inference, on a backend that `canFreeze`. The matrices are stored only as bfloat16. The
 * logits have the same bits as the logits of a float32 model with the same rounded matrices, with one exception. A
 * float32 model adds unrounded token vectors and position vectors, but a frozen model also rounds these vectors. The
 * weights are undefined until `writeWeights` fills them. If creation fails, it frees all memory.
 */
export const createFrozenModel = (backend: Backend, config: ModelConfig, vocabSize: number): Model => {
  const layout = modelLayout(config, vocabSize);
  const arena = createFrozenArena(backend, layout);
  const weights: Weights = { arena, frozen: true, rounded: () => null, write: arena.write, close: arena.close };
  return modelOver(backend, config, vocabSize, { layout, weights, real: "float32" });
};

/** A model that stores a matrix in quantized blocks if the file stores the matrix in blocks. */
export interface BlockModel extends Model {
  /** See BlockArena. */
  readonly blocks: Pick<BlockArena, "isBlocks" | "writeBlocks">;
}

/**
 * Creates a model only for inference. The matrices of the model stay in the quantized blocks of the file. Products with
 * these matrices round the rows of their input to 8 bits. Other weights are stored as in a frozen model, or as float32
 * if the backend does not support frozen models. The weights are undefined until `writeWeights` and `blocks` fill them.
 * If creation fails, it frees all memory.
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

/** The parameters that training changes. */
export type TrainedPart = Pick<Model, "layout" | "arena"> | Adapter;

/** The weights of a model, or the weights of its adapters if it has adapters. */
export const trainedPart = ({ adapter, layout, arena }: Model): TrainedPart => adapter ?? { layout, arena };

/** @throws ConfigError for a frozen model, because it has no float32 weights. */
export const checkTrainable = (where: string, { frozen, arena }: Model): void => {
  if (!frozen) return;
  const must = "the model must have float32 weights";
  if ([...arena.tensors.values()].some(({ blocks }) => blocks !== undefined)) {
    const hint = 'loadPretrained(…, { dtype: "float32", keepBlocks: false })';
    throw new ConfigError({ where, must, got: "a model with weights of 4 to 8 bits", hint });
  }
  const hint = 'loadPretrained(…, { dtype: "float32" })';
  throw new ConfigError({ where, must, got: "a model that has only bfloat16 weights", hint });
};

/** @throws ConfigError for a model with heads switched off, because a checkpoint would switch these heads on again. */
export const checkAllHeads = (where: string, { parameters }: Model): void => {
  if (parameters.blocks.every(({ attention }) => attention.headsOff === undefined)) return;
  throw new ConfigError({
    where,
    must: "the model must have all of its heads, because a checkpoint cannot store which heads are switched off",
    got: "a model from withoutHeads",
    hint: "the model that was passed to withoutHeads",
  });
};

/**
 * Creates an untrained model. The weights are drawn from normal distributions and depend only on the seed and the
 * shapes.
 * @experimental
 * @param config checked configuration, for example from a preset: `{ ...presets.quick.model, nLayer: 3 }`.
 * @param vocabSize number of tokens, `tokenizer.vocabSize`.
 * @param seed a whole number from 0.
 * @returns a model; the caller frees its weights with `close`.
 * @throws ConfigError naming the first invalid field.
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
 * @throws ShapeError for an id out of range, or a row longer than the context.
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
 * Like `placeIds`, for concatenated sequences of different lengths: [1, rows].
 * @throws ShapeError for an id out of range, or a sequence that is longer than the context together with its cached
 * tokens.
 */
export const uploadSegments = (context: Context, model: Model, ids: ArrayLike<number>, segments: Segments): Tensor => {
  const { contextLength } = model.config;
  const { rows } = segments;
  const longest = endOf(segments);
  if (longest > contextLength || ids.length !== rows) {
    throw new ShapeError({
      where: "model",
      must: `segments must have ${rows} tokens in total and end within ${contextLength} (the context length)`,
      got: `${ids.length} tokens, and an end at ${longest}`,
    });
  }
  checkIds(model, ids);
  return context.memory.upload(Int32Array.from(ids), [1, rows]);
};
