import { isRecord } from "../core/checks/is-record.ts";

/** Name of the file with the hashes of a checkpoint's other files. */
export const manifestName = "manifest.json";

/**
 * Key in a manifest. The key marks the folder as a checkpoint that Foretoken wrote, so Foretoken may replace the
 * folder.
 */
const mark = "foretoken checkpoint";

/** Size and hash of a file when it was written. */
export interface FileDigest {
  readonly bytes: number;
  /** SHA-256, hexadecimal. */
  readonly sha256: string;
}

/** The run that a checkpoint belongs to. */
export interface Binding {
  /** Number of completed updates. */
  readonly step: number;
  /** SHA-256 of the run's configuration as JSON, hexadecimal. */
  readonly config: string;
}

/** Contents of `manifest.json`. */
export interface Manifest {
  readonly files: Readonly<Record<string, FileDigest>>;
  /** The run; null if the weights do not belong to a run. */
  readonly run: Binding | null;
}

/** Whether two checkpoints have identical files. */
export const haveSameFiles = ({ files }: Manifest, other: Manifest): boolean => {
  const names = Object.keys(files);
  return (
    names.length === Object.keys(other.files).length &&
    names.every((name) => files[name]?.sha256 === other.files[name]?.sha256)
  );
};

/** Text of `manifest.json`. */
export const manifestJson = ({ files, run }: Manifest): string =>
  `${JSON.stringify({ [mark]: 1, run, files }, null, 2)}\n`;

/** Whether the text of a `manifest.json` has Foretoken's mark. The other fields may be damaged. */
export const isMarked = (text: string): boolean => text.includes(mark);

/** Whether JSON is a manifest of Foretoken. The manifest may be damaged. */
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
 * Returns the manifest in parsed JSON, or undefined if the manifest is damaged.
 * @param json parsed from a text that `isMarked` accepts.
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
