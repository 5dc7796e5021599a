/** A LoRA adapter in a backend's memory: its weights, and the copies of the weights that matrix products read. */
import type { Tensor } from "../../autograd/tensor.ts";
import type { Backend, Storage } from "../../backend/backend.ts";
import { allocateAll } from "../../backend/memory/allocate-all.ts";
import { freeOnce } from "../../backend/memory/free-once.ts";
import { closeOnError } from "../../core/errors/close-on-error.ts";
import { hostArray, type RealDType } from "../../core/tensors/dtype.ts";
import { isWhole, type LoraFactors, type LoraOutputs, type LoraWeights, placeOutputs } from "../../ops/lora.ts";
import { type Arena, type ArenaLayout, createArena } from "../arena.ts";
import type { ModelConfig } from "../config.ts";
import { type LoraConfig, loraScale } from "./config.ts";
import { declareLora, type LoraLayer, loraLayout } from "./layout.ts";

/** Adapters of a block, by layer name. A layer without an adapter has no entry. */
export type BlockAdapters = ReadonlyMap<string, LoraWeights>;

/**
 * Low-rank adapters of a model.
 * @experimental
 */
export interface Adapter {
  /** Rank, alpha, dropout and targets. */
  readonly config: LoraConfig;
  /** Offsets of the matrices A and B, with names like `blocks.0.attention.query.loraA`. */
  readonly layout: ArenaLayout;
  /** The matrices as one flat array. */
  readonly arena: Arena;
  /** Tensors that get gradients. All matrices A that read the same input are one tensor. */
  readonly leaves: readonly Tensor[];
  /** The layers, in the order of the model's blocks. */
  readonly blocks: readonly BlockAdapters[];
  /**
   * Updates the copies that matrix products read. Calling this is optional, because the next use of the copies also
   * updates them.
   */
  refresh(): void;
  /** Frees the adapters. */
  close(): void;
}

/**
 * The tensors of a layer, and the offset of B̃ in `placed`. B̃ is one matrix that contains all matrices B of the layer.
 * If the offset is null, products read B directly.
 */
interface Layer {
  readonly name: string;
  readonly a: Tensor;
  readonly parts: readonly LoraOutputs[];
  readonly outputs: number;
  readonly placed: number | null;
}

/** All matrices A of a layer as one tensor. The matrices are adjacent in memory. */
const stackedA = ({ parts }: LoraLayer<Tensor>): Tensor => {
  const [first, ...others] = parts.map(({ a }) => a);
  if (first === undefined) throw new Error("a layer must have at least one matrix A");
  const [rank = 0, inputs = 0] = first.shape;
  // A single matrix stays the same tensor, because other code finds the tensor by its name.
  return others.length === 0 ? first : { ...first, shape: [rank * parts.length, inputs] };
};

const alignment = 32;

const clearedAtATime = 2 ** 16;

const clear = (backend: Backend, storage: Storage): void => {
  const zeros = hostArray(storage.dtype, Math.min(storage.length, clearedAtATime));
  for (let done = 0; done < storage.length; done += zeros.length) {
    backend.write(storage, zeros.subarray(0, storage.length - done), done);
  }
};

/**
 * Creates an adapter with all matrices zero. `initialise` or a file fills the matrices. If creation fails, it frees all
 * memory.
 * @throws ConfigError for a target that the model lacks.
 */
export const createAdapter = (
  backend: Backend,
  modelConfig: ModelConfig,
  config: LoraConfig,
  real: RealDType = "float32",
): Adapter => {
  const { activations } = backend.capabilities;
  const layout = loraLayout(modelConfig, config);
  const arena = createArena(backend, layout, real);
  const tensorOf = ({ name }: { readonly name: string }): Tensor => {
    const tensor = arena.tensors.get(name);
    if (tensor === undefined) throw new Error(`the layout has no matrix ${name}`);
    return tensor;
  };
  // A layer needs B̃ if it has several matrices B, or if some outputs belong to no matrix B.
  let placedLength = 0;
  const blocks = declareLora(tensorOf, modelConfig, config).map((block) =>
    [...block].map(([name, layer]): Layer => {
      const { outputs } = layer;
      const a = stackedA(layer);
      const parts = layer.parts.map(({ first, b }) => ({ first, b }));
      if (isWhole(parts, outputs)) return { name, a, parts, outputs, placed: null };
      const placed = placedLength;
      placedLength += Math.ceil((outputs * (a.shape[0] ?? 0)) / alignment) * alignment;
      return { name, a, parts, outputs, placed };
    }),
  );
  const isNarrow = activations === "bfloat16";
  const copies = closeOnError(
    () => backend.free(arena.storage),
    () => allocateAll(backend, activations, [placedLength, isNarrow ? layout.length : 0]),
  ) as readonly [Storage, Storage];
  const [placed, narrow] = copies;
  const close = freeOnce(backend, () => {
    for (const storage of [...copies, arena.storage]) backend.free(storage);
  });

  // Outputs that belong to no matrix B stay zero.
  closeOnError(close, () => clear(backend, placed));

  /** The arena's count of changes when the last copy was made. */
  let known = -1;
  const refresh = (): void => {
    if (known === arena.changes.count) return;
    const n = layout.length;
    const [x, y] = [arena.storage, narrow].map((storage) => ({ storage, offset: 0 })) as [Tensor, Tensor];
    if (isNarrow) backend.run("copyRows", { x, y, rows: 1, width: n, xStride: n, yStride: n });
    for (const { a, parts, placed: offset } of blocks.flat()) {
      if (offset !== null) placeOutputs(backend, parts, { storage: placed, offset }, a.shape[0] ?? 0);
    }
    known = arena.changes.count;
  };

  const read = (weight: Tensor): Tensor => (isNarrow ? { ...weight, storage: narrow } : weight);
  const weightsOf = ({ a, parts, outputs, placed: offset }: Layer): LoraWeights => {
    const width = a.shape[0] ?? 0;
    const whole = offset === null ? (parts[0]?.b as Tensor) : null;
    const factors: LoraFactors = {
      a: read(a),
      b: whole === null ? { storage: placed, offset: offset ?? 0, shape: [outputs, width] } : read(whole),
    };
    return {
      a,
      parts,
      factors() {
        refresh();
        return factors;
      },
      scale: loraScale(config),
      dropout: config.dropout,
    };
  };

  return {
    config,
    layout,
    arena,
    leaves: blocks.flat().flatMap(({ a, parts }) => [a, ...parts.map(({ b }) => b)]),
    blocks: blocks.map((layers) => new Map(layers.map((layer) => [layer.name, weightsOf(layer)]))),
    refresh,
    close,
  };
};
