/**
 * Remembers the hash of each loaded adapter's base weights. If the adapter is saved again, its files name the same base
 * weights.
 */
import type { Arena } from "../../../models/arena.ts";

const hashes = new WeakMap<Arena, string>();

/** Remembers the base hash of an adapter. @param hash as `OpenedAdapter.baseHash`. */
export const noteBaseHash = (adapter: Arena, hash: string | null): void => {
  if (hash !== null) hashes.set(adapter, hash);
};

/** Hash of an adapter's base weights; null if it is unknown or the adapter was created in this process. */
export const notedBaseHash = (adapter: Arena): string | null => hashes.get(adapter) ?? null;
