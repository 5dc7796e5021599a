import { createHash, randomBytes } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { DataError } from "../core/errors/errors.ts";
import { readRegularFile, UnreadableFileError } from "../core/system/regular-file.node.ts";

/** Environment of the program. Tests pass their own environment. */
export interface Surroundings {
  /** Environment variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Fetches the text. */
  readonly fetch: typeof globalThis.fetch;
}

const fileName = "tiny-shakespeare.txt";
const address = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt";
const sha256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed";
const timeoutMs = 10_000;

const isGenuine = (found: Uint8Array | UnreadableFileError | undefined): found is Uint8Array =>
  found instanceof Uint8Array && createHash("sha256").update(found).digest("hex") === sha256;

/** Maximum number of bytes to download. The text is slightly smaller. */
const maxBytes = 2 ** 21;

/** Reads a file. Undefined if the file is missing or cannot be read, because the text may be in other places. */
const readIfThere = async (path: string): Promise<Uint8Array | UnreadableFileError | undefined> => {
  try {
    return await readRegularFile(path, { maxBytes, followLinks: true });
  } catch (error) {
    return error instanceof UnreadableFileError ? error : undefined;
  }
};

/**
 * The user's cache folder: `$XDG_CACHE_HOME/foretoken` or, if this variable is not set, `~/.cache/foretoken` (XDG Base
 * Directory Specification).
 */
export const cachePath = ({ XDG_CACHE_HOME: base }: Surroundings["env"]): string =>
  join(base !== undefined && isAbsolute(base) ? base : join(homedir(), ".cache"), "foretoken", fileName);

/** Writes `bytes` to the cache. If this fails, the text is downloaded again next time. */
const keep = async (path: string, bytes: Uint8Array): Promise<void> => {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(temporary, bytes);
    await rename(temporary, path);
  } catch {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
};

const reason = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no answer within ${timeoutMs / 1000} s`;
  // Node's `fetch` reports only "fetch failed". The error's cause contains the reason.
  return error.cause instanceof Error ? reason(error.cause) : error.message;
};

/** Reads the body of a response. Undefined if the body is longer than the text. Such a body is not read to its end. */
const bodyOf = async ({ body }: Response): Promise<Uint8Array | undefined> => {
  const pieces: Uint8Array[] = [];
  let length = 0;
  const reader = body?.getReader();
  for (let next = await reader?.read(); next?.value !== undefined; next = await reader?.read()) {
    length += next.value.length;
    if (length > maxBytes) {
      await reader?.cancel();
      return undefined;
    }
    pieces.push(next.value);
  }
  return Buffer.concat(pieces);
};

const download = async (fetch: Surroundings["fetch"]): Promise<Uint8Array | string> => {
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(timeoutMs) });
    if (!response.ok) return `HTTP status ${response.status}`;
    const bytes = await bodyOf(response);
    return isGenuine(bytes) ? bytes : `a text that is not Tiny Shakespeare (sha256 ${sha256.slice(0, 12)}…)`;
  } catch (error) {
    return reason(error);
  }
};

/** The bytes of the text and their source, or the reason why the text is not available. */
export type Found = { readonly bytes: Uint8Array; readonly source: string } | { readonly problem: string };

/**
 * Finds Tiny Shakespeare (A. Karpathy, char-rnn). The places are the folder `FORETOKEN_CORPORA`, then the user's cache,
 * then the public address of the text. A downloaded text is stored in the cache. The SHA-256 of the text is always
 * checked.
 * @throws DataError if the folder `FORETOKEN_CORPORA` contains another text under this name.
 */
export const findTinyShakespeare = async ({ env, fetch }: Surroundings): Promise<Found> => {
  const folder = env.FORETOKEN_CORPORA;
  if (folder !== undefined && folder !== "") {
    const path = join(folder, fileName);
    const bytes = await readIfThere(path);
    if (isGenuine(bytes)) return { bytes, source: path };
    if (bytes !== undefined) {
      throw new DataError({
        where: path,
        must: `the file in FORETOKEN_CORPORA must be Tiny Shakespeare, sha256 ${sha256}`,
        got: bytes instanceof UnreadableFileError ? bytes.got : "another text",
        hint: "removing this file, or --data with the path of this file to train on it",
      });
    }
  }
  const cached = cachePath(env);
  const kept = await readIfThere(cached);
  if (isGenuine(kept)) return { bytes: kept, source: cached };
  const fetched = await download(fetch);
  if (typeof fetched === "string") return { problem: fetched };
  await keep(cached, fetched);
  return { bytes: fetched, source: address };
};

/** The error for a user who requested this text, if the text is not available. */
export const tinyShakespeareError = (problem: string): DataError =>
  new DataError({
    where: "tiny-shakespeare",
    must: `the text must be on this machine or come from ${address}`,
    got: problem,
    hint: `a network, a folder with ${fileName} in the variable FORETOKEN_CORPORA, or --data with a text of your own`,
  });
