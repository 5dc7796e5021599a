/** Opening the model that an adapter is for, and no other. */
import { join } from "node:path";
import { CheckpointError } from "../../../core/errors/errors.ts";
import { quotePath } from "../../../core/text/shell-word.ts";
import type { OpenedPretrained } from "../../files/directory.node.ts";
import { isHubName } from "../../files/hub.node.ts";
import { isGgufName } from "../../gguf/open.node.ts";
import { noticeUnchecked, openPretrained } from "../../open.node.ts";
import type { AdapterBase } from "../config.ts";
import type { OpenedAdapter } from "../load.ts";
import { basePath } from "../open.node.ts";
import { isBase, notBase, trainedOn } from "./check.ts";
import { keptBaseOf, otherCheckpoints } from "./places.node.ts";

/** Which model an adapter is put on. */
export interface BaseOptions {
  /** The model. Default: the one that the adapter names. */
  readonly base?: string | undefined;
  /** Whether its weights must be those that the adapter was trained on. Default true. */
  readonly baseCheck?: boolean | undefined;
  /** Gets one line for the user. A promise is waited for. */
  readonly onNotice?: ((line: string) => void | Promise<void>) | undefined;
  /** Gets the bytes fetched so far, and in all. */
  readonly onProgress?: ((bytes: number, all: number) => void) | undefined;
}

/** The hash of the weights at `path`; null for a model that cannot be opened. */
const hashAt = async (path: string): Promise<string | null> => {
  try {
    const { sha256, weights } = await openPretrained(path);
    try {
      return await sha256();
    } finally {
      await weights.close();
    }
  } catch (error) {
    if (error instanceof CheckpointError) return null;
    throw error;
  }
};

/** The hash of the model that an adapter in `folder` will name; null for a model of the hub, or none on this disk. */
export const hashOfBase = async (folder: string, { name, revision }: AdapterBase): Promise<string | null> => {
  const peft = { base: name, revision: revision ?? null };
  const place = await basePath({ where: folder, peft }).catch(() => null);
  return place === null || isHubName(place) ? null : hashAt(place);
};

/**
 * Where on this disk weights with this hash are: kept in the run that was trained on them, or another checkpoint of the run
 * that made them.
 * @param run its folder.
 * @param named the place where they were.
 */
export const findWeights = async (
  hash: string,
  run: string,
  named: string | undefined,
): Promise<string | undefined> => {
  const kept = await keptBaseOf(run);
  if ((await hashAt(kept)) === hash) return kept;
  return named === undefined ? undefined : (await otherCheckpoints(named, hash))[0];
};

/**
 * The place of the weights that an adapter was trained on; undefined if they are nowhere, or it does not say which.
 * @param tried a place where they are not.
 */
export const placeOfBase = async (adapter: OpenedAdapter, tried?: string): Promise<string | undefined> => {
  const { baseHash, where } = adapter;
  if (baseHash === null) return undefined;
  const named = await basePath(adapter).catch(() => undefined);
  if (named !== undefined && named !== tried && (await hashAt(named)) === baseHash) return named;
  return findWeights(baseHash, join(where, ".."), named);
};

/** The place of an adapter's base as a word of a command; `otherwise` where it is unknown. @param tried as in `placeOfBase`. */
const wordFor = async (adapter: OpenedAdapter, otherwise: string, tried?: string): Promise<string> => {
  const found = await placeOfBase(adapter, tried);
  return found === undefined ? otherwise : quotePath(found);
};

/** Says where the base of an adapter is that is put on another model. */
export const wayToBase = (adapter: OpenedAdapter): Promise<string> => wordFor(adapter, trainedOn);

/** Opens a model that must be the adapter's base. @param way to the base, for the error. */
const openChecked = async (
  adapter: OpenedAdapter,
  path: string,
  { baseCheck = true, onNotice, onProgress }: BaseOptions,
  way: () => Promise<string>,
): Promise<OpenedPretrained> => {
  const opened = await openPretrained(path, { onNotice, onDownload: onProgress });
  try {
    const compared = baseCheck && adapter.baseHash !== null;
    if (compared && !(await isBase(opened, adapter))) throw notBase(path, adapter, await way());
    // The hash is that of the whole file.
    if (!compared || !isGgufName(path)) await noticeUnchecked(opened, path, onNotice);
    return opened;
  } catch (error) {
    await opened.weights.close();
    throw error;
  }
};

/**
 * Opens the model of an adapter. Where the one that the adapter names is gone or has other weights by now, the weights that
 * the adapter was trained on serve from another place, and a line says so; a model that the caller names is never replaced.
 * @throws CheckpointError for a model with other weights, or none that can be opened.
 */
export const openBase = async (adapter: OpenedAdapter, options: BaseOptions): Promise<OpenedPretrained> => {
  const { base, baseCheck = true, onNotice } = options;
  if (base !== undefined)
    return openChecked(adapter, base, options, async () => `base ${await wordFor(adapter, "MODEL", base)}`);
  let named: string | undefined;
  try {
    named = await basePath(adapter);
    return await openChecked(adapter, named, options, async () => "base MODEL");
  } catch (error) {
    const found = error instanceof CheckpointError && baseCheck ? await placeOfBase(adapter, named) : undefined;
    if (!(error instanceof CheckpointError) || found === undefined) throw error;
    const { hint: _, ...details } = error.details;
    await onNotice?.(`${new CheckpointError(details).message}; ${found} serves instead`);
    return openChecked(adapter, found, options, async () => "base MODEL");
  }
};
