/** Finding the weights that an adapter was trained on, by their hash. */
import { join } from "node:path";
import { CheckpointError } from "../../../core/errors/errors.ts";
import type { OpenedPretrained } from "../../files/directory.node.ts";
import { isHubName } from "../../files/hub.node.ts";
import { openPretrained } from "../../open.node.ts";
import type { AdapterBase } from "../config.ts";
import type { OpenedAdapter } from "../load.ts";
import { basePath } from "../open.node.ts";
import { keptBaseOf, otherCheckpoints } from "./places.node.ts";

/** Passes over a model that cannot be opened, or is damaged. */
export const unlessDamaged = (error: unknown): undefined => {
  if (!(error instanceof CheckpointError)) throw error;
};

/** Whether all bytes of a model's weights are those of its manifest. They are read for it. */
export const isWhole = async ({ check }: Pick<OpenedPretrained, "check">): Promise<boolean> =>
  check().then(
    () => true,
    (error: unknown) => unlessDamaged(error) ?? false,
  );

/** The hash of the weights at `path`, by their manifest; null for a model that cannot be opened. */
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
 * Where on this disk weights with this hash are, by their manifests: kept in the run that was trained on them, or another
 * checkpoint of the run that made them.
 * @param run its folder.
 * @param named the place where they were.
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

/** The places of the weights that an adapter was trained on; none if it does not say which. @param tried as in `placeOfBase`. */
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
 * Opens the weights that an adapter was trained on, of which each byte has been compared; undefined if they are nowhere.
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
 * The place of the weights that an adapter was trained on; undefined if they are nowhere, or it does not say which.
 * @param tried a place where they are not.
 */
export const placeOfBase = async (adapter: OpenedAdapter, tried?: string): Promise<string | undefined> => {
  const found = await openWhole(adapter, tried);
  await found?.opened.weights.close();
  return found?.place;
};
