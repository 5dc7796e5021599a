/** Downloads models from the Hugging Face hub and keeps them in a cache folder. */
import { createHash, randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { isRecord } from "../../core/checks/is-record.ts";
import { CheckpointError, ForetokenError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { shardNames } from "../parse.ts";
import { type OpenedPretrained, openDirectory } from "./directory.node.ts";
import { type HubName, parseName } from "./hub-name.ts";
import { configName, indexName, optionalNames, weightsFileName } from "./names.ts";

/** Options of `openHub`. */
export interface HubOptions {
  /** Gets one line for the user. If it returns a promise, the promise is awaited. */
  readonly onNotice?: ((line: string) => void | Promise<void>) | undefined;
  /** Gets the number of bytes downloaded so far and the total. */
  readonly onDownload?: ((bytes: number, all: number) => void) | undefined;
}

/**
 * Cache folder of a downloaded model. The environment variable `FORETOKEN_CACHE` names another cache folder for all
 * downloads.
 */
const hubFolder = ({ repository }: HubName): string => {
  const cache = process.env.FORETOKEN_CACHE || join(homedir(), ".cache", "foretoken");
  return join(cache, "hub", repository.replace("/", "--"));
};

/** Whether a model was downloaded before, so that it can be opened offline. */
export const isKept = async (path: string): Promise<boolean> => {
  const name = parseName(path);
  return stat(join(hubFolder(name), `${name.revision}.ref`)).then(
    (found) => found.isFile(),
    () => false,
  );
};

/** Folder of a model that was downloaded before; undefined if the model was not downloaded. */
export const keptFolder = async (path: string): Promise<string | undefined> => {
  const name = parseName(path);
  const folder = hubFolder(name);
  const commit = await readFile(join(folder, `${name.revision}.ref`), "utf8").catch(() => "");
  return /^[0-9a-f]{40}$/u.test(commit) ? join(folder, commit) : undefined;
};

/** The environment variables `HF_ENDPOINT` and `HF_TOKEN`, as in the hub's Python client. */
const hubAccess = () => {
  const { HF_ENDPOINT: endpoint, HF_TOKEN: token } = process.env;
  return {
    ...(endpoint ? { hubUrl: endpoint.replace(/\/+$/u, "") } : {}),
    ...(token ? { accessToken: token } : {}),
  };
};

const failed = (path: string, error: unknown): ForetokenError => {
  if (error instanceof ForetokenError) return error;
  const status = isRecord(error) && typeof error.statusCode === "number" ? error.statusCode : undefined;
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const [must, got, hint] =
    status === 401 || status === 403 || status === 404
      ? [
          "the hub must have this model, and it must be public",
          `status ${status}`,
          "another spelling, or set HF_TOKEN for a model with restricted access",
        ]
      : systemErrorCode(inner) === "ENOSPC"
        ? [
            "the disk must have space for the model",
            "no space left",
            "setting FORETOKEN_CACHE to a folder with more space",
          ]
        : [
            "the hub must answer",
            status === undefined ? (inner instanceof Error ? inner.message : String(inner)) : `status ${status}`,
            "again later, or use the path of a directory",
          ];
  return new CheckpointError({ where: path, must, got, hint, cause: error });
};

/** A file of a model on the hub. */
interface HubFile {
  readonly path: string;
  readonly size: number;
  /** Hash of a small file, as git computes it. */
  readonly oid?: string | undefined;
  readonly lfs?: { readonly oid: string } | undefined;
}

/**
 * Compares bytes with the hash that the hub lists. The hub lists the SHA-256 of a large file, and git's hash of a small
 * file.
 */
const checker = ({ size, oid, lfs }: HubFile) => {
  const sha256 = lfs?.oid.replace(/^sha256:/u, "");
  const expected = sha256 ?? oid;
  const hash = createHash(sha256 === undefined ? "sha1" : "sha256");
  if (sha256 === undefined) hash.update(`blob ${size}\0`);
  return { update: (piece: Uint8Array) => hash.update(piece), isSame: () => hash.digest("hex") === expected };
};

type Client = typeof import("@huggingface/hub");

interface Download {
  readonly client: Client;
  readonly name: HubName;
  readonly commit: string;
  readonly folder: string;
  readonly shown: string;
}

/** Downloads a file under a temporary name, checks the file's hash, and renames the file. */
const fetchFile = async (
  { client, name, commit, folder, shown }: Download,
  file: HubFile,
  onPiece: (bytes: number) => void,
): Promise<void> => {
  const place = join(folder, file.path);
  const there = await stat(place).catch(() => undefined);
  if (there?.size === file.size) {
    onPiece(file.size);
    return;
  }
  const where = `${shown}/${file.path}`;
  const blob = await client.downloadFile({
    ...{ repo: name.repository, revision: commit, path: file.path, xet: false },
    ...hubAccess(),
  });
  if (blob === null) throw new CheckpointError({ where, must: "the file must exist", got: "no such file" });
  const temporary = `${place}.${randomBytes(6).toString("hex")}.part`;
  const { update, isSame } = checker(file);
  let bytes = 0;
  try {
    const out = await open(temporary, "wx");
    try {
      for await (const piece of blob.stream() as unknown as AsyncIterable<Uint8Array>) {
        bytes += piece.length;
        if (bytes > file.size) break;
        update(piece);
        await out.write(piece);
        onPiece(piece.length);
      }
      await out.sync();
    } finally {
      await out.close();
    }
    if (bytes !== file.size || !isSame()) {
      throw new CheckpointError({
        where,
        must: "the file must have the size and hash that the hub lists",
        got: bytes === file.size ? "other contents" : `${bytes} bytes instead of ${file.size}`,
        hint: "the same command again",
      });
    }
    await rename(temporary, place);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
};

/** Downloads the files that loading needs into a temporary folder, and renames the folder when it is complete. */
const download = async (
  plan: Omit<Download, "folder">,
  folder: string,
  onDownload: HubOptions["onDownload"],
): Promise<void> => {
  const { client, name, commit, shown } = plan;
  const listed = new Map<string, HubFile>();
  for await (const file of client.listFiles({ repo: name.repository, revision: commit, ...hubAccess() })) {
    if (file.type === "file") listed.set(file.path, file);
  }
  const partial = `${folder}.partial`;
  await mkdir(partial, { recursive: true });
  const target = { ...plan, folder: partial };
  let done = 0;
  let all = 0;
  const fetchAll = async (names: readonly string[]): Promise<void> => {
    const files = names.map((path) => {
      const file = listed.get(path);
      if (file !== undefined) return file;
      const must = "a model of the hub must have safetensors weights";
      throw new CheckpointError({ where: shown, must, got: `no ${path}`, hint: "another model or revision" });
    });
    all += files.reduce((sum, { size }) => sum + size, 0);
    for (const file of files) {
      await fetchFile(target, file, (bytes) => {
        done += bytes;
        onDownload?.(done, all);
      });
    }
  };
  const isSingle = listed.has(weightsFileName) || !listed.has(indexName);
  const small = [configName, ...optionalNames].filter((path) => listed.has(path) && !(isSingle && path === indexName));
  await fetchAll([configName, ...small.filter((path) => path !== configName)]);
  const index = isSingle ? undefined : await readFile(join(partial, indexName));
  await fetchAll(index === undefined ? [weightsFileName] : shardNames(index, `${shown}/${indexName}`));
  // Another process may have finished the same download first.
  await rename(partial, folder).catch(async (error: unknown) => {
    if (!(await stat(folder).catch(() => undefined))?.isDirectory()) throw error;
  });
};

/**
 * Opens a model of the hub. The model's files are downloaded once and kept. Each file is compared with the hash that
 * the hub lists.
 * @param path `hf:org/name` or `hf:org/name@revision`.
 * @throws CheckpointError for a malformed name, or for a model that the hub does not have. Also throws if the hub does
 * not answer and the model was not downloaded before.
 */
export const openHub = async (path: string, { onNotice, onDownload }: HubOptions = {}): Promise<OpenedPretrained> => {
  const name = parseName(path);
  const root = hubFolder(name);
  const reference = join(root, `${name.revision}.ref`);
  try {
    // The import is dynamic so that other callers do not load this module.
    const client = await import("@huggingface/hub");
    const found = await client.modelInfo({
      ...{ name: name.repository, revision: name.revision, additionalFields: ["sha"] },
      ...hubAccess(),
    });
    const commit = found.sha;
    if (typeof commit !== "string" || !/^[0-9a-f]{40}$/u.test(commit)) throw new Error("a response without a commit");
    const folder = join(root, commit);
    if (!(await stat(folder).catch(() => undefined))?.isDirectory()) {
      await download({ client, name, commit, shown: path }, folder, onDownload);
    }
    await writeFile(reference, commit);
    return await openDirectory(folder, path);
  } catch (error) {
    const commit = await readFile(reference, "utf8").catch(() => "");
    const isAnswer = error instanceof ForetokenError || (isRecord(error) && typeof error.statusCode === "number");
    if (isAnswer || !/^[0-9a-f]{40}$/u.test(commit)) throw failed(path, error);
    await onNotice?.(`${path}: the hub does not answer; using the copy that was downloaded before`);
    return openDirectory(join(root, commit), path);
  }
};
