import type { BlockPart, Tensor } from "../autograd/tensor.ts";
import type { Backend, Storage } from "../backend/backend.ts";
import { blockForms, fileWords, panelRows, panelWords } from "../backend/kernels/block-forms.ts";
import { closeOnError } from "../core/errors/close-on-error.ts";
import { bytesPerElement } from "../core/tensors/dtype.ts";
import { sizeOf } from "../core/tensors/shape.ts";
import { type Arena, type ArenaLayout, createArena, createFrozenArena, type Placed, partOfLayout } from "./arena.ts";

/** Rows of a matrix. A file stores these rows in blocks. */
export interface BlockRows {
  /** Offset of the first row in the model's layout. */
  readonly offset: number;
  /** Number of rows. */
  readonly rows: number;
  /** Index of the block format in `blockForms`. */
  readonly form: number;
}

/** Number of bytes of a weight, whether it is in blocks or not. */
export const bytesOfTensor = ({ storage, shape, blocks }: Tensor): number =>
  blocks === undefined
    ? sizeOf(shape) * bytesPerElement[storage.dtype]
    : blocks.reduce((sum, { form, rows }) => sum + panelWords(form, rows, shape[1] ?? 0) * bytesPerElement.int32, 0);

/**
 * Weights of a model that is only for inference. Matrices are stored in blocks as in the file. Other weights have the
 * backend's types.
 */
export interface BlockArena extends Arena {
  /** Copies values into the elements of the layout from `offset` on. These elements must not be in blocks. */
  write(values: Float32Array | Uint16Array, offset: number): void;
  /** Whether the elements at `offset` are in blocks. */
  isBlocks(offset: number): boolean;
  /**
   * Copies rows into the model. The index of the first row is a multiple of 16. The number of rows is a multiple of 16,
   * too, except at the end of the matrix. @param bytes in the file's format.
   */
  writeBlocks(bytes: Uint8Array, offset: number): void;
  /** Frees all arrays. */
  close(): void;
}

/** Parameters with all rows in blocks, and the parts of each parameter. */
const inBlocks = (
  { parameters }: ArenaLayout,
  given: readonly BlockRows[],
): ReadonlyMap<Placed, readonly BlockRows[]> => {
  const found = new Map<Placed, readonly BlockRows[]>();
  for (const parameter of parameters) {
    const { offset, size, shape } = parameter;
    const [rows = 0, k = 0] = shape;
    if (shape.length !== 2) continue;
    const parts = given
      .filter((part) => part.offset >= offset && part.offset < offset + size)
      .sort((a, b) => a.offset - b.offset);
    const fits = parts.every(({ form }) => k % (blockForms[form]?.fileValues ?? k + 1) === 0);
    if (fits && parts.reduce((sum, part) => sum + part.rows, 0) === rows) found.set(parameter, parts);
  }
  return found;
};

/** Number of words that are packed at a time. The words contain blocks of the file. */
const packedAtATime = 2 ** 18;

/** Returns `bytes` as `count` words. Bytes that are aligned and complete are not copied. */
const wordsIn = (bytes: Uint8Array, count: number): Int32Array => {
  if (bytes.byteOffset % 4 === 0 && bytes.length === 4 * count)
    return new Int32Array(bytes.buffer, bytes.byteOffset, count);
  const words = new Int32Array(count);
  new Uint8Array(words.buffer).set(bytes);
  return words;
};

/** A part, and its storage in the backend. */
interface Part extends BlockPart {
  /** Offset in the model's layout. */
  readonly place: number;
  /** Number of values in a row. */
  readonly k: number;
}

/**
 * Allocates the arrays of a model in blocks, with undefined contents. The caller closes them.
 * @param narrow whether other matrices are stored only as bfloat16.
 */
export const createBlockArena = (
  backend: Backend,
  layout: ArenaLayout,
  given: readonly BlockRows[],
  narrow: boolean,
): BlockArena => {
  const matrices = inBlocks(layout, given);
  const names = new Set([...matrices.keys()].map(({ name }) => name));
  const restLayout = partOfLayout(layout, ({ name }) => !names.has(name));
  const restPlaces = new Map(restLayout.parameters.map(({ name, offset }) => [name, offset]));
  const storages: Storage[] = [];
  const free = (): void => {
    for (const storage of storages) backend.free(storage);
  };
  const parts: Part[] = [];
  const tensors = new Map<string, Tensor>();
  closeOnError(free, () => {
    for (const [{ name, shape, offset }, rows] of matrices) {
      const k = shape[1] ?? 0;
      const own = rows.map(({ offset: place, rows: count, form }): Part => {
        const storage = backend.alloc("int32", panelWords(form, count, k));
        storages.push(storage);
        return { storage, offset: 0, form, first: (place - offset) / k, rows: count, place, k };
      });
      parts.push(...own);
      const [first] = own as [Part, ...Part[]];
      tensors.set(name, { storage: first.storage, offset: 0, shape, blocks: own });
    }
  });
  const rest = closeOnError(free, () => {
    if (narrow) return createFrozenArena(backend, restLayout);
    const arena = createArena(backend, restLayout);
    return {
      ...arena,
      write: (values: Float32Array | Uint16Array, offset: number) => backend.write(arena.storage, values, offset),
      close: () => backend.free(arena.storage),
    };
  });
  for (const [name, tensor] of rest.tensors) tensors.set(name, tensor);
  const partAt = (offset: number): Part | undefined =>
    parts.find(({ place, rows, k }) => offset >= place && offset < place + rows * k);
  const packRows = (part: Part, bytes: Uint8Array, row: number, rows: number): void => {
    const { form, k, storage } = part;
    const words = wordsIn(bytes, fileWords(form, rows, k));
    const given = backend.alloc("int32", words.length);
    try {
      backend.write(given, words);
      const y = { storage, offset: panelWords(form, row, k) };
      backend.run("blocksPack", { x: { storage: given, offset: 0 }, y, rows, k, form });
    } finally {
      backend.free(given);
    }
  };
  return {
    storage: rest.storage,
    tensors,
    changes: { count: 0 },
    isBlocks: (offset) => partAt(offset) !== undefined,
    write(values, offset) {
      const parameter = layout.parameters.find((one) => offset >= one.offset && offset < one.offset + one.size);
      if (parameter === undefined) throw new Error(`no parameter is at ${offset}`);
      rest.write(values, (restPlaces.get(parameter.name) ?? 0) + offset - parameter.offset);
    },
    writeBlocks(bytes, offset) {
      const part = partAt(offset);
      if (part === undefined) throw new Error(`no blocks are at ${offset}`);
      const { k, form, place } = part;
      const { fileValues, fileBytes } = blockForms[form] as (typeof blockForms)[number];
      const rowBytes = (k / fileValues) * fileBytes;
      const rows = bytes.length / rowBytes;
      const together = Math.max(1, Math.floor((4 * packedAtATime) / rowBytes / panelRows)) * panelRows;
      for (let row = 0; row < rows; row += together) {
        const count = Math.min(together, rows - row);
        packRows(part, bytes.subarray(row * rowBytes, (row + count) * rowBytes), (offset - place) / k + row, count);
      }
    },
    close() {
      free();
      rest.close();
    },
  };
};
