/**
 * Reads the metadata and tensors of GGUF files. Sizes and offsets are compared with the file's size before the data is
 * read.
 */

import { CheckpointError } from "../../core/errors/errors.ts";
import type { StoredTensor } from "../../core/tensors/named-tensor.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { show } from "../../core/text/show.ts";
import type { ByteSource } from "../byte-source.ts";
import { wordsOf } from "../half.ts";
import { type Encoding, encodingName, encodings } from "./encodings.ts";
import { type GgufHeader, type GgufMetadata, readGgufHeader, type TensorInfo } from "./header.ts";

/** A tensor of a GGUF file, with its encoding. */
export interface GgufTensor extends StoredTensor {
  /** Name of the encoding, for example `Q4_K`. */
  readonly encoding: string;
  /** Reads `count` encoded rows from row `first`. */
  readonly readBytes: (first: number, count: number) => Promise<Uint8Array>;
}

/** An opened GGUF file. */
export interface GgufFile {
  readonly metadata: GgufMetadata;
  /** Encoded bytes of each key and its value. Use them to copy metadata. */
  readonly pairs: GgufHeader["pairs"];
  /** Tensors in the order of their data. */
  readonly tensors: readonly GgufTensor[];
}

/** Place of a tensor in the file. */
interface Place {
  readonly info: TensorInfo;
  readonly encoding: Encoding;
  readonly begin: number;
  readonly end: number;
}

const placeOf = (info: TensorInfo, header: GgufHeader, size: number, where: string): Place => {
  const { name, extents, type, offset } = info;
  const fail = (must: string, got: string): never => {
    throw new CheckpointError({ where: `${where}: tensor ${show(name)}`, must, got });
  };
  const encoding = encodings.get(type);
  if (encoding === undefined) {
    const known = alternatives([...encodings.values()].map((known) => known.name));
    return fail(`must have the encoding ${known}`, encodingName(type));
  }
  const [inner = 0] = extents;
  if (!extents.every((extent) => extent >= 1)) fail("sizes must be 1 or more", show(extents));
  if (inner % encoding.blockLength !== 0) {
    fail(
      `the first size must be a multiple of ${encoding.blockLength}, the block length of ${encoding.name}`,
      String(inner),
    );
  }
  if (offset % header.alignment !== 0) fail(`its offset must be a multiple of ${header.alignment}`, String(offset));
  // A size that is not an exact integer is far larger than the file, so the next check refuses it.
  const bytes = (extents.reduce((product, extent) => product * extent, 1) / encoding.blockLength) * encoding.blockBytes;
  const begin = header.dataStart + offset;
  if (begin + bytes > size) {
    const got = `${bytes} bytes at ${begin} in a file of ${size} bytes`;
    fail("must end within the file (is the file truncated?)", got);
  }
  return { info, encoding, begin, end: begin + bytes };
};

const checkApart = (places: readonly Place[], where: string): void => {
  const names = new Set<string>();
  let end = 0;
  for (const { info, begin, end: ownEnd } of places) {
    const fail = (must: string): never => {
      throw new CheckpointError({ where: `${where}: tensor ${show(info.name)}`, must });
    };
    if (begin < end) fail("must not overlap the tensor before it");
    if (names.has(info.name)) fail("must occur only once");
    names.add(info.name);
    end = ownEnd;
  }
};

/**
 * The tensor at a place. This function knows nothing of the header, so that tensors do not keep the header in memory.
 */
const tensorAt = (source: ByteSource, { info, encoding, begin, end }: Place): GgufTensor => {
  const shape = info.extents.toReversed();
  const rows = shape.length < 2 ? 1 : (shape[0] ?? 1);
  const rowBytes = (end - begin) / rows;
  const read = (first: number, count: number, into?: Uint8Array): Promise<Uint8Array> =>
    source.read(begin + first * rowBytes, count * rowBytes, into);
  return {
    ...{ name: info.name, shape, bytes: end - begin, encoding: encoding.name },
    readBytes: read,
    readRows: async (first, count) => encoding.widen(await read(first, count)),
    ...(encoding.blockLength > 1 && shape.length === 2 ? { blocks: { form: encoding.name, read } } : {}),
    ...(encoding.name === "BF16"
      ? { readWords: async (first: number, count: number) => wordsOf(await read(first, count)) }
      : {}),
  };
};

/**
 * Opens a GGUF file: reads the header and finds the tensors. A tensor is read only when needed.
 * @param source open file. The caller closes the file after all tensors are read.
 * @param where the file, for errors.
 * @throws CheckpointError with the file and the problem: a truncated or forged header, truncated data, overlapping
 * tensors, an unsupported encoding, a big-endian file, or version 1.
 */
export const openGgufFile = async (source: ByteSource, where: string): Promise<GgufFile> => {
  const header = await readGgufHeader(source, where);
  const places = header.tensors.map((info) => placeOf(info, header, source.size, where));
  places.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkApart(places, where);
  const tensors = places.map((place) => tensorAt(source, place));
  return { metadata: header.metadata, pairs: header.pairs, tensors };
};
