/** Manifests of files in memory, by Web Crypto: Node has it, and pages over HTTPS or from localhost. */
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
  // A copy if it is a view of shared memory, which Web Crypto does not take.
  const own = bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : Uint8Array.from(bytes);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", own));
  const sha256 = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { bytes: bytes.length, sha256 };
};

/** Whether hashes can be computed. */
export const canDigest = (): boolean => globalThis.crypto?.subtle !== undefined;

/** SHA-256 of a file in memory, hexadecimal; null where hashes cannot be computed. */
export const hashInMemory = async (bytes: Uint8Array): Promise<string | null> =>
  canDigest() ? (await digestOf(bytes)).sha256 : null;

/** The files with a `manifest.json` of their hashes, if hashes can be computed. @param run that the files are of. */
export const withManifest = async (files: Files, run: Binding | null = null): Promise<Files> => {
  if (!canDigest()) return files;
  const digests: Record<string, FileDigest> = {};
  for (const [name, bytes] of Object.entries(files)) digests[name] = await digestOf(bytes);
  return { ...files, [manifestName]: new TextEncoder().encode(manifestJson({ run, files: digests })) };
};

/**
 * What the contents of a `manifest.json` are: undefined if another program's, with files if ours, with none if it is damaged.
 */
export const manifestIn = (bytes: Uint8Array): Manifest | undefined => {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    json = undefined;
  }
  // Another program's manifest has nothing of this; a file that is no JSON is a damaged one.
  if (json !== undefined && !isManifest(json)) return undefined;
  return parseManifest(json) ?? { files: {}, run: null };
};

/**
 * Compares files with the `manifest.json` among them; without one of ours they are unchecked.
 * @param names the needed files.
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
        got: "no file of that name",
        hint: "a complete copy of the files",
      });
    }
    const found = await digestOf(files[name] ?? new Uint8Array());
    if (expected?.bytes === found.bytes && expected.sha256 === found.sha256) continue;
    throw new CheckpointError({
      where: `${where}/${name}`,
      must: `the file must be the one that was saved, by its SHA-256 in ${manifestName}`,
      got: `${found.bytes} other bytes`,
      hint: "a complete copy of the files",
    });
  }
};
