import { isRecord } from "../core/checks/is-record.ts";

/** The file with the hashes of a checkpoint's other files. */
export const manifestName = "manifest.json";

/** The mark of a folder as a checkpoint that may be replaced. */
const mark = "foretoken checkpoint";

/** A file as it was when it was written. */
export interface FileDigest {
  readonly bytes: number;
  /** SHA-256, hexadecimal. */
  readonly sha256: string;
}

/** The run of a checkpoint's files. */
export interface Binding {
  /** Updates done. */
  readonly step: number;
  /** SHA-256 of the run's configuration as JSON, hexadecimal. */
  readonly config: string;
}

/** `manifest.json` */
export interface Manifest {
  readonly files: Readonly<Record<string, FileDigest>>;
  /** null for weights that belong to no run. */
  readonly run: Binding | null;
}

/** Whether two checkpoints have the same files, to the bit. */
export const haveSameFiles = ({ files }: Manifest, other: Manifest): boolean => {
  const names = Object.keys(files);
  return (
    names.length === Object.keys(other.files).length &&
    names.every((name) => files[name]?.sha256 === other.files[name]?.sha256)
  );
};

/** The contents of `manifest.json`. */
export const manifestJson = ({ files, run }: Manifest): string =>
  `${JSON.stringify({ [mark]: 1, run, files }, null, 2)}\n`;

/** Whether the text of a `manifest.json` claims to be ours, even if the rest is damaged. */
export const isMarked = (text: string): boolean => text.includes(mark);

/** Whether JSON is a manifest of ours, or was one before it was damaged. */
export const isManifest = (json: unknown): boolean =>
  isRecord(json) && (Object.hasOwn(json, mark) || (isRecord(json.files) && Object.hasOwn(json, "run")));

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isHash = (value: unknown): value is string => typeof value === "string" && /^[0-9a-f]{64}$/u.test(value);

const bindingOf = (value: unknown): Binding | null | undefined => {
  if (value === null) return null;
  if (!isRecord(value)) return undefined;
  const { step, config } = value;
  return isCount(step) && isHash(config) ? { step, config } : undefined;
};

/**
 * The manifest in parsed JSON; undefined if it is damaged.
 * @param json of a text that `isMarked` accepts.
 */
export const parseManifest = (json: unknown): Manifest | undefined => {
  if (!isRecord(json) || json[mark] !== 1 || !isRecord(json.files)) return undefined;
  const run = bindingOf(json.run);
  if (run === undefined) return undefined;
  const files: [string, FileDigest][] = [];
  for (const [name, digest] of Object.entries(json.files)) {
    if (!isRecord(digest)) return undefined;
    const { bytes, sha256 } = digest;
    if (!isCount(bytes) || !isHash(sha256)) return undefined;
    files.push([name, { bytes, sha256 }]);
  }
  return { files: Object.fromEntries(files), run };
};
