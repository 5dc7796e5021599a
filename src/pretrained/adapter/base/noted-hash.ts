/** The bases of adapters that were loaded: an adapter that is saved again names the same weights. */
import type { Arena } from "../../../models/arena.ts";

const hashes = new WeakMap<Arena, string>();

/** @param hash as `OpenedAdapter.baseHash`. */
export const noteBaseHash = (adapter: Arena, hash: string | null): void => {
  if (hash !== null) hashes.set(adapter, hash);
};

/** The hash of an adapter's base; null: unknown, or the adapter was made here. */
export const notedBaseHash = (adapter: Arena): string | null => hashes.get(adapter) ?? null;
