/**
 * Manifests of files in memory. The hashes are computed with Web Crypto, which is available in Node and in pages over
 * HTTPS or from localhost.
 */
import { CheckpointError } from "../core/errors/errors.ts";
import {
  type Binding,
  type FileDigest,
  isManifest,
  type Manifest,
  manifestJson,
  manifestName,
  parseManifest,
} from "./manifest.ts";

type Files = Readonly<Record<string, Uint8Array>>;

const digestOf = async (bytes: Uint8Array): Promise<FileDigest> => {
  // A view of shared memory is copied, because Web Crypto does not accept it.
  const own = bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : Uint8Array.from(bytes);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", own));
  const sha256 = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { bytes: bytes.length, sha256 };
};

/** Whether Web Crypto is available. */
export const canDigest = (): boolean => globalThis.crypto?.subtle !== undefined;

/** SHA-256 of a file in memory, hexadecimal; null without Web Crypto. */
export const hashInMemory = async (bytes: Uint8Array): Promise<string | null> =>
  canDigest() ? (await digestOf(bytes)).sha256 : null;

/**
 * Returns the files with a `manifest.json` of their hashes. Without Web Crypto, no manifest is added. @param run the
 * run that the files belong to.
 */
export const withManifest = async (files: Files, run: Binding | null = null): Promise<Files> => {
  if (!canDigest()) return files;
  const digests: Record<string, FileDigest> = {};
  for (const [name, bytes] of Object.entries(files)) digests[name] = await digestOf(bytes);
  return { ...files, [manifestName]: new TextEncoder().encode(manifestJson({ run, files: digests })) };
};

/**
 * Parses a `manifest.json`. Returns undefined if another program wrote the file. Returns a manifest without files if
 * the file is damaged.
 */
export const manifestIn = (bytes: Uint8Array): Manifest | undefined => {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    json = undefined;
  }
  // JSON without Foretoken's mark is a manifest of another program. A file that is not JSON counts as damaged.
  if (json !== undefined && !isManifest(json)) return undefined;
  return parseManifest(json) ?? { files: {}, run: null };
};

/**
 * Compares files with the `manifest.json` among them. Checks nothing if there is no manifest of Foretoken.
 * @param names names of the needed files.
 * @param where the folder's name in errors.
 * @throws CheckpointError for a file that differs from the manifest.
 */
export const checkManifest = async (files: Files, names: readonly string[], where: string): Promise<void> => {
  const bytes = files[manifestName];
  if (bytes === undefined || !canDigest()) return;
  const manifest = manifestIn(bytes);
  if (manifest === undefined) return;
  for (const name of names) {
    const expected = Object.hasOwn(manifest.files, name) ? manifest.files[name] : undefined;
    if (expected === undefined && files[name] !== undefined) {
      throw new CheckpointError({
        where: `${where}/${name}`,
        must: `${manifestName} must list the file`,
        got: "no file with this name",
        hint: "a complete copy of the files",
      });
    }
    const found = await digestOf(files[name] ?? new Uint8Array());
    if (expected?.bytes === found.bytes && expected.sha256 === found.sha256) continue;
    throw new CheckpointError({
      where: `${where}/${name}`,
      must: `the file must match its SHA-256 in ${manifestName}`,
      got: `a different file of ${found.bytes} bytes`,
      hint: "a complete copy of the files",
    });
  }
};
