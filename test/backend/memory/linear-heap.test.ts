import { describe, expect, it } from "vitest";
import { linearHeap } from "#foretoken/backend/memory/linear-heap.js";
import { hashInteger } from "../../support/hash.ts";

const unit = 64;
const grown = 2 ** 20;

/**
 * A simple model of the heap: a map of its units. The model allocates the first sequence of free units that is long
 * enough.
 */
const mapHeap = () => {
  const taken: boolean[] = [];
  const firstFit = (units: number): number => {
    let free = 0;
    for (const [at, isTaken] of taken.entries()) {
      free = isTaken ? 0 : free + 1;
      if (free === units) return at - units + 1;
    }
    return -1;
  };
  const fill = (from: number, units: number, isTaken: boolean): void => {
    for (let at = from; at < from + units; at++) taken[at] = isTaken;
  };
  return {
    allocate(bytes: number): number {
      const units = Math.max(1, Math.ceil(bytes / unit));
      if (firstFit(units) === -1)
        fill(taken.length, Math.max(grown, Math.ceil(bytes / 2 ** 16) * 2 ** 16) / unit, false);
      const at = firstFit(units);
      fill(at, units, true);
      return at * unit;
    },
    release: (address: number, bytes: number): void =>
      fill(address / unit, Math.max(1, Math.ceil(bytes / unit)), false),
  };
};

describe("the heap of linear memory", () => {
  it("joins a released block with the free ones on both sides", () => {
    const heap = linearHeap();
    const [a, b, c] = [heap.allocate(100), heap.allocate(64), heap.allocate(1)];
    expect([a, b, c]).toEqual([0, 128, 192]);
    heap.release(0, 100);
    heap.release(192, 1);
    // The last free block and the new memory after it become one block.
    expect(heap.allocate(grown)).toBe(192);
    heap.release(192, grown);
    heap.release(128, 64);
    expect(heap.allocate(2 * grown)).toBe(0);
  });

  it("gives the addresses that a map of its units gives", () => {
    const heap = linearHeap();
    const map = mapHeap();
    let blocks: { readonly at: number; readonly bytes: number }[] = [];
    for (let i = 0; i < 400; i++) {
      const release = blocks.length > 20 || (blocks.length > 0 && hashInteger("release", i, 2) === 1);
      if (release) {
        const index = hashInteger("which", i, blocks.length);
        for (const { at, bytes } of blocks.slice(index, index + 1)) {
          heap.release(at, bytes);
          map.release(at, bytes);
        }
        blocks = blocks.filter((_, other) => other !== index);
      } else {
        const bytes =
          hashInteger("size", i, 4) === 0 ? 2 ** 10 * hashInteger("large", i, 300) : hashInteger("small", i, 900);
        const at = heap.allocate(bytes);
        expect(at).toBe(map.allocate(bytes));
        blocks.push({ at, bytes });
      }
    }
  });

  it("counts pages that were written to once", () => {
    const heap = linearHeap();
    heap.touch(0, 1);
    heap.touch(2 ** 14 - 1, 2);
    expect(heap.touched()).toBe(2 * 2 ** 14);
    heap.touch(2 ** 14 * 3000, 2 ** 14);
    heap.touch(0, 2 ** 14);
    expect(heap.touched()).toBe(3 * 2 ** 14);
  });
});
