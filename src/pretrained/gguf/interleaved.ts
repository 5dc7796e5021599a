/**
 * Reorders the channels of queries and keys for rotary position embeddings. llama.cpp rotates pairs of neighbouring
 * channels of a head, 2i and 2i + 1. `LlamaForCausalLM` and Foretoken rotate the pairs i and R/2 + i. So the rows of
 * each head have a different order in files of llama.cpp.
 */
import type { StoredTensor } from "../../core/tensors/named-tensor.ts";

/**
 * Returns a tensor with the channels of each head reordered.
 * @param tensor [H·D, C], or a bias [H·D].
 * @param headDim D, channels per head.
 * @param placeOf maps a channel of the result to the channel of `tensor` in the same head.
 */
const inOrder = (tensor: StoredTensor, headDim: number, placeOf: (channel: number) => number): StoredTensor => {
  const { shape, readRows, readWords, blocks } = tensor;
  const isVector = shape.length < 2;
  /** Number of values per channel. */
  const width = isVector ? 1 : (shape[1] ?? 1);
  /**
   * Fills `out` with reordered channels from channel `first` on. `values` begins with channel `start`. `start` is the
   * first channel of a head.
   */
  const reorder = <A extends Float32Array | Uint16Array | Uint8Array>(
    values: A,
    start: number,
    first: number,
    out: A,
    each = width,
  ): A => {
    for (let i = 0; i * each < out.length; i++) {
      const inHead = (first + i) % headDim;
      const from = first + i - inHead + placeOf(inHead) - start;
      out.set(values.subarray(from * each, (from + 1) * each), i * each);
    }
    return out;
  };
  const reordered =
    <A extends Float32Array | Uint16Array>(
      read: (first: number, count: number) => Promise<A>,
      make: new (n: number) => A,
    ) =>
    async (first: number, count: number): Promise<A> => {
      if (isVector) return reorder(await read(first, count), 0, 0, new make(shape[0] ?? 1));
      const start = first - (first % headDim);
      const end = Math.ceil((first + count) / headDim) * headDim;
      return reorder(await read(start, end - start), start, first, new make(count * width));
    };
  const bytesOfRow = tensor.bytes / (shape[0] ?? 1);
  const readBlocks = async (first: number, count: number, into?: Uint8Array): Promise<Uint8Array> => {
    const start = first - (first % headDim);
    const end = Math.ceil((first + count) / headDim) * headDim;
    const length = count * bytesOfRow;
    const has = into !== undefined && into.length >= length + (end - start) * bytesOfRow;
    const values =
      (await blocks?.read(start, end - start, has ? into.subarray(length) : undefined)) ?? new Uint8Array(0);
    return reorder(values, start, first, has ? into.subarray(0, length) : new Uint8Array(length), bytesOfRow);
  };
  return {
    ...tensor,
    ...(blocks === undefined ? {} : { blocks: { ...blocks, read: readBlocks } }),
    readRows: reordered<Float32Array>(readRows, Float32Array),
    ...(readWords === undefined ? {} : { readWords: reordered<Uint16Array>(readWords, Uint16Array) }),
  };
};

/**
 * Converts queries or keys from llama.cpp's channel order to Foretoken's.
 * @param tensor [H·D, C], or a bias [H·D].
 * @param headDim D, channels per head.
 * @param rotated R, number of rotated channels per head, which come first.
 */
export const inHalves = (tensor: StoredTensor, headDim: number, rotated: number): StoredTensor => {
  const half = rotated / 2;
  return inOrder(tensor, headDim, (channel) =>
    channel >= rotated ? channel : channel < half ? 2 * channel : 2 * (channel - half) + 1,
  );
};

/**
 * Converts queries or keys from Foretoken's channel order to llama.cpp's order. The function is the inverse of
 * `inHalves`.
 */
export const inPairs = (tensor: StoredTensor, headDim: number, rotated: number): StoredTensor =>
  inOrder(tensor, headDim, (channel) =>
    channel >= rotated ? channel : (channel % 2) * (rotated / 2) + Math.floor(channel / 2),
  );
