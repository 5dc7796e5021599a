/** The files of a model's weights on this disk, and the hash that tells them from others. */
import { createHash } from "node:crypto";
import type { ByteSource } from "../../io/byte-source.ts";

/** A file with weights. */
export interface WeightFileFacts {
  readonly name: string;
  /** Its path on this disk. */
  readonly path: string;
  /** In bytes. */
  readonly bytes: number;
  /** Its SHA-256, hexadecimal: the one that its bytes are compared with or, without a manifest, computed at the first call. */
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
 * @param source open until the hash is known.
 * @param known its SHA-256 in a manifest; undefined: there is none.
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

/** SHA-256 of the weights' file, hexadecimal; of several files, that of their hashes one after the other. */
export const hashOfWeights = async (files: readonly WeightFileFacts[]): Promise<string> => {
  const hashes: string[] = [];
  for (const { sha256 } of files) hashes.push(await sha256());
  const [first = ""] = hashes;
  return hashes.length === 1 ? first : createHash("sha256").update(hashes.join("")).digest("hex");
};
