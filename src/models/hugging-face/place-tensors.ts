/** Reads the tensors of a Hugging Face checkpoint piece by piece, and stores the pieces as a model's weights. */

import { blockForms, panelRows } from "../../backend/kernels/block-forms.ts";
import { CheckpointError } from "../../core/errors/errors.ts";
import { fromBfloat16 } from "../../core/tensors/dtype.ts";
import type { StoredTensor } from "../../core/tensors/named-tensor.ts";
import { formatShape, type Shape, sizeOf } from "../../core/tensors/shape.ts";
import { show } from "../../core/text/show.ts";
import type { TensorMapping } from "../architectures/architecture.ts";
import { architectureOf } from "../architectures/architecture-of.ts";
import type { ArenaLayout } from "../arena.ts";
import type { BlockRows } from "../block-arena.ts";
import type { ModelConfig } from "../config.ts";
import { modelLayout } from "../model.ts";
import { findUnreal, findUnrealWords, hasUnrealScale } from "./find-unreal.ts";
import { byName, placeOf, transpose } from "./hugging-face.ts";

/**
 * Whether a tensor is a buffer of an old file: a mask or frequencies. Such a buffer can be computed from the
 * configuration.
 */
const isBuffer = (name: string): boolean => /(^|\.)(attn\.(bias|masked_bias)|rotary_emb\.inv_freq)$/u.test(name);

const headName = "lm_head.weight";

/** Maps each tensor of a file to parameters of Foretoken's model. */
export interface TensorPlan {
  /** Mappings by the name of the tensor in the file. A tensor with null is ignored. */
  readonly mappings: ReadonlyMap<string, TensorMapping | null>;
  readonly config: ModelConfig;
  /** Number of rows of the embedding in the file. */
  readonly vocabSize: number;
}

/** Whether one layer computes Q, K and V in a file with tensors of these names. */
export const hasFusedLayers = (names: readonly string[]): boolean =>
  names.some((name) => name.endsWith(".qkv_proj.weight"));

/** Mappings with the tensor names of the file. In files of the bare model, names have no prefix. */
const withNamesOf = (config: ModelConfig, names: readonly string[]): readonly TensorMapping[] => {
  const { mappings, fused, prefix } = architectureOf(config).huggingFace;
  const chosen = (fused !== undefined && hasFusedLayers(names) ? fused : mappings)(config);
  if (names.some((name) => name.startsWith(prefix))) return chosen;
  return chosen.map((mapping) => ({
    ...mapping,
    theirs: mapping.theirs.startsWith(prefix) ? mapping.theirs.slice(prefix.length) : mapping.theirs,
  }));
};

/**
 * Maps each tensor of a checkpoint to parameters of Foretoken's model. Only the names of tensors are used.
 * @param names names of all tensors, in all files.
 * @throws CheckpointError for a missing or unexpected tensor.
 */
export const planTensors = (
  config: ModelConfig,
  vocabSize: number,
  names: readonly string[],
  where: string,
): TensorPlan => {
  const wanted = withNamesOf(config, names);
  const mappings = new Map<string, TensorMapping | null>(wanted.map((mapping) => [mapping.theirs, mapping]));
  const found = new Set(names);
  for (const name of names) {
    if (mappings.has(name)) continue;
    // A tied head uses the embedding. A head in the file is then ignored.
    if (!isBuffer(name) && !(config.tieEmbeddings && name === headName)) {
      throw new CheckpointError({ where, must: "every tensor must belong to the model", got: show(name) });
    }
    mappings.set(name, null);
  }
  for (const { theirs } of wanted) {
    if (!found.has(theirs)) {
      throw new CheckpointError({ where, must: `the file must hold ${theirs}`, got: "no such tensor" });
    }
  }
  return { mappings, config, vocabSize };
};

const shapeOf = (mapping: TensorMapping, parameters: ReturnType<typeof byName>): Shape => {
  const place = placeOf(parameters, mapping);
  const ours = place?.shape ?? [mapping.absent ?? 0];
  return mapping.transposed === true ? ours.toReversed() : ours;
};

/**
 * Compares the shapes of the tensors with the plan before memory is allocated. A forged configuration can claim any
 * size, but a tensor in a file has its real size.
 * @throws CheckpointError for a wrong shape.
 */
export const checkShapes = (plan: TensorPlan, tensors: readonly StoredTensor[], where: string): void => {
  const parameters = byName(modelLayout(plan.config, plan.vocabSize));
  for (const { name, shape } of tensors) {
    const mapping = plan.mappings.get(name) ?? null;
    if (mapping === null) continue;
    const expected = formatShape(shapeOf(mapping, parameters));
    if (formatShape(shape) !== expected) {
      throw new CheckpointError({ where, must: `${name} must have shape ${expected}`, got: formatShape(shape) });
    }
  }
};

/** Receives the weights of a file, with the offset of each weight in the model's layout. */
export interface WeightTarget {
  /** Copies `values` to `offset` of the layout before it returns. */
  readonly place: (values: Float32Array, offset: number) => void;
  /**
   * Like `place`, for bfloat16 words of a file. The words are not converted. If this method is absent, all values are
   * converted to float32.
   */
  readonly placeWords?: (words: Uint16Array, offset: number) => void;
  /** Like `place`, for quantized rows that the model stores in blocks. If absent, rows are converted to float32. */
  readonly blocks?: {
    /** Whether the elements at `offset` are stored in blocks. */
    readonly isBlocks: (offset: number) => boolean;
    /** Stores whole rows. The index of the first row is a multiple of 16. */
    readonly writeBlocks: (bytes: Uint8Array, offset: number) => void;
  };
}

/** Quantized rows of the tensors in a file, and the offsets of the rows in a layout. */
export const blockRowsOf = (
  plan: TensorPlan,
  layout: ArenaLayout,
  tensors: readonly StoredTensor[],
): readonly BlockRows[] => {
  const parameters = byName(layout);
  return tensors.flatMap(({ name, shape, blocks }) => {
    const mapping = plan.mappings.get(name) ?? null;
    const form = blockForms.findIndex((one) => one.name === blocks?.form);
    if (mapping === null || form === -1 || mapping.transposed === true) return [];
    const target = placeOf(parameters, mapping);
    // Token vectors and learned position vectors are added, so neither table stays quantized.
    if (target === undefined || (mapping.ours === "tokens.weight" && parameters.has("positions.weight"))) return [];
    if (mapping.ours === "positions.weight") return [];
    const [, k = 1] = shape;
    return [{ offset: target.offset, rows: target.size / k, form }];
  });
};

/** Number of values read at a time: 4 MB of float32. */
const pieceLength = 2 ** 20;

/**
 * Number of bytes of blocks that are read at a time. The number is small, because read buffers stay in memory until the
 * next garbage collection.
 */
const blockBytesAtATime = 2 ** 19;

/**
 * Size of the read buffer, in pieces. Queries and keys of a GGUF file are read in whole heads and copied in another
 * order, so they need room for both.
 */
const bufferedPieces = 3;

/** Number of rows of a tensor and their width. A vector is one row. */
const extentsOf = (shape: Shape): { readonly rows: number; readonly width: number } => {
  const rows = shape.length < 2 ? 1 : (shape[0] ?? 1);
  return { rows, width: sizeOf(shape.length < 2 ? shape : shape.slice(1)) };
};

/**
 * Yields the rows of a tensor in pieces, with the index of the first value of each piece. The next piece is read while
 * the caller uses a piece.
 */
async function* piecesOf<A extends Float32Array | Uint16Array>(
  { name, shape }: StoredTensor,
  readRows: (first: number, count: number) => Promise<A>,
  isWhole: boolean,
  where: string,
): AsyncGenerator<readonly [values: A, first: number], void, undefined> {
  const { rows, width } = extentsOf(shape);
  const rowsAtATime = isWhole ? rows : Math.max(1, Math.floor(pieceLength / Math.max(1, width)));
  const read = (row: number): Promise<A> | undefined => {
    const reading = row < rows ? readRows(row, Math.min(rowsAtATime, rows - row)) : undefined;
    // The promise is awaited later. Until then, this handler prevents an unhandled rejection.
    reading?.catch(() => {});
    return reading;
  };
  let next = read(0);
  for (let row = 0; next !== undefined; row += rowsAtATime) {
    const values = await next;
    next = read(row + rowsAtATime);
    const bad = values instanceof Uint16Array ? findUnrealWords(values) : findUnreal(values);
    if (bad !== -1) {
      const [found] =
        values instanceof Uint16Array ? fromBfloat16(values.subarray(bad, bad + 1)) : values.subarray(bad);
      const must = `${name} must hold finite numbers`;
      throw new CheckpointError({ where, must, got: `${found} at ${row * width + bad}` });
    }
    yield [values, row * width];
  }
}

/** A buffer that all reads use. The buffer grows if a row needs more memory. */
interface ReadBuffer {
  bytes: Uint8Array;
}

/**
 * Yields quantized rows in pieces, with the index of the first row of each piece. This index is a multiple of 16. A
 * piece is a part of `buffer` and is valid until the next piece.
 */
async function* blockPiecesOf(
  { name, shape, bytes }: StoredTensor,
  { form: formName, read }: NonNullable<StoredTensor["blocks"]>,
  rows: number,
  where: string,
  buffer: ReadBuffer,
): AsyncGenerator<readonly [bytes: Uint8Array, first: number], void, undefined> {
  const form = blockForms.find((one) => one.name === formName);
  const rowBytes = bytes / (shape[0] ?? 1);
  const together = Math.max(1, Math.floor(blockBytesAtATime / rowBytes / panelRows)) * panelRows;
  const most = bufferedPieces * together * rowBytes;
  if (buffer.bytes.length < most) buffer.bytes = new Uint8Array(most);
  for (let row = 0; row < rows; row += together) {
    const piece = await read(row, Math.min(together, rows - row), buffer.bytes);
    if (form !== undefined && hasUnrealScale(piece, form)) {
      throw new CheckpointError({ where, must: `${name} must hold finite numbers`, got: "a scale that is not finite" });
    }
    yield [piece, row];
  }
}

/**
 * Reads a file's tensors in order and passes their values to the target. `layout` is the layout of the planned model. A
 * model with fewer tokens may be given, too; it gets only the first rows of the embedding.
 * @param onRead gets the number of bytes read since its last call.
 * @throws CheckpointError for a value that is not finite, or a nonzero bias that Foretoken's model lacks.
 */
export const placeTensors = async (
  plan: TensorPlan,
  layout: ArenaLayout,
  tensors: readonly StoredTensor[],
  where: string,
  { place, placeWords, blocks: kept }: WeightTarget,
  onRead: (bytes: number) => void = () => {},
): Promise<void> => {
  const parameters = byName(layout);
  const buffer: ReadBuffer = { bytes: new Uint8Array(0) };
  for (const tensor of tensors) {
    const mapping = plan.mappings.get(tensor.name) ?? null;
    if (mapping === null) {
      onRead(tensor.bytes);
      continue;
    }
    const target = placeOf(parameters, mapping);
    const { rows, width } = extentsOf(tensor.shape);
    const isTransposed = mapping.transposed === true;
    const { plus = 0 } = mapping;
    const { readRows, readWords, blocks } = tensor;
    const tellRead = (count: number): void => onRead((tensor.bytes * count) / (rows * width));
    if (blocks !== undefined && target !== undefined && kept?.isBlocks(target.offset) === true) {
      const count = Math.min(rows, target.size / width);
      for await (const [bytes, first] of blockPiecesOf(tensor, blocks, count, where, buffer)) {
        kept.writeBlocks(bytes, target.offset + first * width);
        tellRead((bytes.length / tensor.bytes) * rows * width);
      }
      continue;
    }
    if (placeWords !== undefined && readWords !== undefined && target !== undefined && !isTransposed && plus === 0) {
      for await (const [words, first] of piecesOf(tensor, readWords, false, where)) {
        if (first < target.size) placeWords(words.subarray(0, target.size - first), target.offset + first);
        tellRead(words.length);
      }
      continue;
    }
    for await (const [values, first] of piecesOf(tensor, readRows, isTransposed, where)) {
      if (target === undefined) {
        if (values.some((value) => value !== 0)) {
          const must = `${tensor.name} must be zero, because config.json says that the model has no such bias`;
          throw new CheckpointError({ where, must });
        }
        tellRead(values.length);
        continue;
      }
      const ours = plus === 0 ? values : values.map((value) => value + plus);
      if (isTransposed) place(transpose(ours, rows, width), target.offset);
      else if (first < target.size) place(ours.subarray(0, target.size - first), target.offset + first);
      tellRead(values.length);
    }
  }
};
