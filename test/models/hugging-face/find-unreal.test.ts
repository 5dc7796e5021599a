import { expect, it } from "vitest";
import { fromBfloat16 } from "#foretoken/core/tensors/dtype.js";
import { findUnreal, findUnrealWords } from "#foretoken/models/hugging-face/find-unreal.js";

it("tells every bfloat16 that is finite from every one that is not", () => {
  const wrong: number[] = [];
  for (let word = 0; word < 2 ** 16; word++) {
    const words = Uint16Array.of(0x7f7f, word, 0xff7f);
    const values = fromBfloat16(words);
    const expected = Number.isFinite(values[1]) ? -1 : 1;
    if (findUnrealWords(words) !== expected || findUnreal(values) !== expected) wrong.push(word);
  }
  expect(wrong).toEqual([]);
});

it("finds the first one at any place of a view, aligned or not", () => {
  for (const start of [0, 1, 2, 3]) {
    for (let length = 0; length <= 9; length++) {
      const all = new Uint16Array(start + length + 2).fill(0x7f80);
      const view = all.subarray(start, start + length);
      view.fill(0x3f80);
      expect(findUnrealWords(view)).toBe(-1);
      for (let bad = length - 1; bad >= 0; bad--) {
        view[bad] = bad % 2 === 0 ? 0xff80 : 0x7fc0;
        expect(findUnrealWords(view)).toBe(bad);
      }
    }
  }
});
