/** Writes settings into the address. */
import { effect } from "@preact/signals";
import { address, setQuery } from "./address.ts";
import type { QueryChanges } from "./numbers-in-address.ts";

const quietMs = 300;

/** Writes `wanted` into the address a moment after each change, until the returned function is called. */
export const keepInAddress = (wanted: () => QueryChanges): (() => void) => {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = effect(() => {
    const changes = wanted();
    const { query } = address.value;
    clearTimeout(timer);
    if (Object.entries(changes).every(([key, value]) => query.get(key) === value)) return;
    timer = setTimeout(() => setQuery(changes), quietMs);
  });
  return () => {
    end();
    clearTimeout(timer);
  };
};
