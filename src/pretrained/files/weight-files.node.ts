/** A model's weight files on this disk, and the hash that identifies the weights. */
import { createHash } from "node:crypto";
import type { ByteSource } from "../../io/byte-source.ts";

/** A weight file. */
export interface WeightFileFacts {
  readonly name: string;
  readonly path: string;
  /** Size in bytes. */
  readonly bytes: number;
  /** SHA-256 of the file, hexadecimal, from the manifest. If there is no manifest, the first call computes the hash. */
  readonly sha256: () => Promise<string>;
}

const pieceBytes = 2 ** 22;

const hashOf = async (source: ByteSource): Promise<string> => {
  const hash = createHash("sha256");
  for (let at = 0; at < source.size; at += pieceBytes) {
    hash.update(await source.read(at, Math.min(pieceBytes, source.size - at)));
  }
  return hash.digest("hex");
};

/**
 * @param source the file's bytes. The source must stay open until the hash is known.
 * @param known SHA-256 from a manifest; undefined if there is no manifest.
 */
export const weightFile = (name: string, path: string, source: ByteSource, known?: string): WeightFileFacts => {
  let hash: Promise<string> | undefined;
  return {
    ...{ name, path, bytes: source.size },
    sha256: () => {
      hash ??= known === undefined ? hashOf(source) : Promise.resolve(known);
      return hash;
    },
  };
};

/**
 * Hash of a model's weights, hexadecimal. For a single file, it is the file's SHA-256. For several files, it is the
 * SHA-256 of their concatenated hashes.
 */
export const hashOfWeights = async (files: readonly WeightFileFacts[]): Promise<string> => {
  const hashes: string[] = [];
  for (const { sha256 } of files) hashes.push(await sha256());
  const [first = ""] = hashes;
  return hashes.length === 1 ? first : createHash("sha256").update(hashes.join("")).digest("hex");
};
