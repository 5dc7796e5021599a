/** GGUF files: metadata and tensors, each checked against the file's length before it is read. */

import { CheckpointError } from "../../core/errors/errors.ts";
import type { StoredTensor } from "../../core/tensors/named-tensor.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { show } from "../../core/text/show.ts";
import type { ByteSource } from "../byte-source.ts";
import { wordsOf } from "../half.ts";
import { type Encoding, encodingName, encodings } from "./encodings.ts";
import { type GgufHeader, type GgufMetadata, readGgufHeader, type TensorInfo } from "./header.ts";

/** A tensor of a GGUF file with its encoding there. */
export interface GgufTensor extends StoredTensor {
  /** As `Q4_K`. */
  readonly encoding: string;
  /** Rows as the file has them, `count` from `first` on. */
  readonly readBytes: (first: number, count: number) => Promise<Uint8Array>;
}

/** An opened GGUF file. */
export interface GgufFile {
  readonly metadata: GgufMetadata;
  /** The same keys with their values as the file has them, for a copy. */
  readonly pairs: GgufHeader["pairs"];
  /** In the order of their data. */
  readonly tensors: readonly GgufTensor[];
}

/** A tensor's place in the file. */
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
    return fail(`must be in ${known}`, encodingName(type));
  }
  const [inner = 0] = extents;
  if (!extents.every((extent) => extent >= 1)) fail("sizes must be 1 or more", show(extents));
  if (inner % encoding.blockLength !== 0) {
    fail(`the first size must be a multiple of ${encoding.blockLength}, a block of ${encoding.name}`, String(inner));
  }
  if (offset % header.alignment !== 0) fail(`its place must be a multiple of ${header.alignment}`, String(offset));
  // Sizes that are no exact numbers are far too large.
  const bytes = (extents.reduce((product, extent) => product * extent, 1) / encoding.blockLength) * encoding.blockBytes;
  const begin = header.dataStart + offset;
  if (begin + bytes > size) {
    const got = `${bytes} bytes at ${begin} in a file of ${size}`;
    fail("must end within the file (is it cut off?)", got);
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
    if (names.has(info.name)) fail("must be there once");
    names.add(info.name);
    end = ownEnd;
  }
};

/**
 * Opens a GGUF file: reads its header, and says where the tensors are. They are read when they are needed.
 * @param source stays the caller's to close, and open as long as tensors are read.
 * @param where the file, for errors.
 * @throws CheckpointError naming the file and its fault: a header or data cut off or forged, tensors that overlap or have
 *   an encoding that is not read, a big-endian file, version 1.
 */
export const openGgufFile = async (source: ByteSource, where: string): Promise<GgufFile> => {
  const header = await readGgufHeader(source, where);
  const places = header.tensors.map((info) => placeOf(info, header, source.size, where));
  places.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkApart(places, where);
  const tensors = places.map(({ info, encoding, begin, end }): GgufTensor => {
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
  });
  return { metadata: header.metadata, pairs: header.pairs, tensors };
};
