import { expect, test } from "vitest";
import { memoryCache } from "#foretoken/backend/memory/memory-cache.js";

/** A source that counts its live blocks. */
const counted = () => {
  const live = new Set<number>();
  let next = 0;
  const source = {
    allocate: (): number => {
      live.add(next);
      return next++;
    },
    release: (handle: number): void => {
      expect(live.delete(handle)).toBe(true);
    },
  };
  return { live, source };
};

test("a freed block is given to the next request of its size", () => {
  const { live, source } = counted();
  const cache = memoryCache(source);
  const first = cache.take(128);
  cache.giveBack(first, 128);
  expect(cache.held()).toBe(128);
  expect(cache.take(128)).toBe(first);
  expect(live.size).toBe(1);
});

test("a block that must not be kept goes back to the source", () => {
  const { live, source } = counted();
  const cache = memoryCache(source);
  const first = cache.take(128);
  cache.giveBack(first, 128, false);
  expect(live.size).toBe(0);
  expect(cache.held()).toBe(0);
  expect(cache.take(128)).not.toBe(first);
});
