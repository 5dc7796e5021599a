import { expect, it } from "vitest";

interface Level {
  readonly bytes: number;
  readonly read: number;
  readonly write: number;
  readonly copy: number;
}
interface Roofs {
  readonly instructionSet: string;
  readonly float32: number;
  readonly dotBf16: number;
  readonly amxBf16: number;
  readonly levels: readonly Level[];
}
interface RoofsModule {
  measuredSizes(caches: { l2: number; l3: number }, most?: number): { first: number; last: number };
  namedLevels(roofs: Pick<Roofs, "levels">): { l2: Level; l3: Level; memory: Level };
  peakOf(roofs: Roofs, dtype: string): number;
  passingTime(roofs: Pick<Roofs, "levels">, footprint: number, read: number, written: number): number;
}

// The import uses a URL, because the benchmarks have no types.
const { measuredSizes, namedLevels, passingTime, peakOf } = (await import(
  new URL("../../bench/lib/roofs.mjs", import.meta.url).href
)) as RoofsModule;

const mebibyte = 2 ** 20;
const level = (size: number, read: number): Level => ({ bytes: size * mebibyte, read, write: read / 2, copy: read });
const levels = [level(1, 200), level(2, 150), level(4, 60), level(8, 60), level(64, 30)];
const roofs = { instructionSet: "avx512bf16", float32: 400, dotBf16: 300, amxBf16: 6000, levels };

it("measures from half of L2 to what no cache holds, whatever the system says of L3", () => {
  // Three machines: two cores of a Zen 4, a virtual machine that reports the L3 of its host, and a machine that reports
  // no L3.
  expect(measuredSizes({ l2: 2 * mebibyte, l3: 32 * mebibyte })).toEqual({ first: mebibyte, last: 256 * mebibyte });
  expect(measuredSizes({ l2: 4 * mebibyte, l3: 480 * mebibyte })).toEqual({
    first: 2 * mebibyte,
    last: 512 * mebibyte,
  });
  expect(measuredSizes({ l2: 4 * mebibyte, l3: 4 * mebibyte })).toEqual({ first: 2 * mebibyte, last: 64 * mebibyte });
  // The sizes end at the requested size. There are at least five sizes.
  const caches = { l2: 2 * mebibyte, l3: 32 * mebibyte };
  expect(measuredSizes(caches, 64 * mebibyte)).toEqual({ first: mebibyte, last: 64 * mebibyte });
  expect(measuredSizes(caches, mebibyte)).toEqual({ first: mebibyte, last: 16 * mebibyte });
});

it("names levels", () => {
  expect(namedLevels({ levels })).toEqual({ l2: levels[0], l3: levels[3], memory: levels[4] });
});

it("takes tiles for the peak only where the kernels use them", () => {
  expect(peakOf(roofs, "float32")).toBe(400);
  expect(peakOf(roofs, "bfloat16")).toBe(400);
  expect(peakOf({ ...roofs, dotBf16: 800 }, "bfloat16")).toBe(800);
  expect(peakOf({ ...roofs, instructionSet: "amx" }, "bfloat16")).toBe(6000);
  expect(peakOf({ ...roofs, instructionSet: "amx" }, "float32")).toBe(1000);
});

it("passes bytes at the rate of the largest size measured that is not above their footprint", () => {
  expect(passingTime({ levels }, 1000, 2000, 0)).toBeCloseTo(10);
  expect(passingTime({ levels }, 16 * mebibyte, 600, 0)).toBeCloseTo(10);
  expect(passingTime({ levels }, 64 * mebibyte, 0, 300)).toBeCloseTo(20);
  // A copy of 300 bytes counts as 600 bytes, because the bytes are read and written. Another 300 bytes are only read.
  expect(passingTime({ levels }, 64 * mebibyte, 600, 300)).toBeCloseTo(20 + 10);
});
