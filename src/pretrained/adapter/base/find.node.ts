/** Finds the weights that an adapter was trained on, by their hash. */
import { join } from "node:path";
import { CheckpointError } from "../../../core/errors/errors.ts";
import type { OpenedPretrained } from "../../files/directory.node.ts";
import { isHubName } from "../../files/hub-name.ts";
import { openPretrained } from "../../open.node.ts";
import type { AdapterBase } from "../config.ts";
import { basePath } from "../open.node.ts";
import type { OpenedAdapter } from "../opened.ts";
import { keptBaseOf, otherCheckpoints } from "./places.node.ts";

/** Handler for `catch`: returns undefined for a `CheckpointError` and throws any other error again. */
export const unlessDamaged = (error: unknown): undefined => {
  if (!(error instanceof CheckpointError)) throw error;
};

/** Whether all bytes of a model's weights match its manifest. Reads all weights. */
export const isWhole = async ({ check }: Pick<OpenedPretrained, "check">): Promise<boolean> =>
  check().then(
    () => true,
    (error: unknown) => unlessDamaged(error) ?? false,
  );

/** Hash of the weights at `path`, from the manifest. Null if the model cannot be opened. */
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

/**
 * Hash of the base model that the files of an adapter in `folder` will name. Null if the base model is on the hub or is
 * not on this disk.
 */
export const hashOfBase = async (folder: string, { name, revision }: AdapterBase): Promise<string | null> => {
  const peft = { base: name, revision: revision ?? null };
  const place = await basePath({ where: folder, peft }).catch(() => null);
  return place === null || isHubName(place) ? null : hashAt(place);
};

/**
 * Yields the places on this disk that have weights with this hash, according to their manifests. The function searches
 * the base model that the run keeps, and the other checkpoints of the run that trained the base model.
 * @param run folder of the run that trained the adapter.
 * @param named place where the adapter expects the weights.
 */
export async function* findWeights(
  hash: string,
  run: string,
  named: string | undefined,
): AsyncGenerator<string, undefined, undefined> {
  const kept = await keptBaseOf(run);
  if ((await hashAt(kept)) === hash) yield kept;
  if (named !== undefined) yield* await otherCheckpoints(named, hash);
  return undefined;
}

/**
 * Yields the places of the weights that an adapter was trained on. Yields nothing if the adapter's files do not contain
 * the hash of these weights.
 * @param tried as in `placeOfBase`.
 */
export async function* placesOfBase(
  adapter: OpenedAdapter,
  tried?: string,
): AsyncGenerator<string, undefined, undefined> {
  const { baseHash, where } = adapter;
  if (baseHash === null) return undefined;
  const named = await basePath(adapter).catch(() => undefined);
  if (named !== undefined && named !== tried && (await hashAt(named)) === baseHash) yield named;
  return yield* findWeights(baseHash, join(where, ".."), named);
}

/**
 * Opens the weights that an adapter was trained on. First compares every byte with the weights' manifest. Returns
 * undefined if the weights are not found.
 * @param tried as in `placeOfBase`.
 */
export const openWhole = async (
  adapter: OpenedAdapter,
  tried?: string,
): Promise<{ readonly place: string; readonly opened: OpenedPretrained } | undefined> => {
  for await (const place of placesOfBase(adapter, tried)) {
    const opened = await openPretrained(place).catch(unlessDamaged);
    if (opened === undefined) continue;
    if (await isWhole(opened)) return { place, opened };
    await opened.weights.close();
  }
  return undefined;
};

/**
 * Place of the weights that an adapter was trained on. Undefined if the weights are not found, or if the adapter's
 * files do not contain the hash of the weights.
 * @param tried a place that was already searched without success; it is skipped.
 */
export const placeOfBase = async (adapter: OpenedAdapter, tried?: string): Promise<string | undefined> => {
  const found = await openWhole(adapter, tried);
  await found?.opened.weights.close();
  return found?.place;
};
