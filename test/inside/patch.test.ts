import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { ConfigError, ShapeError } from "#foretoken/core/errors/errors.js";
import { patched } from "#foretoken/inside/patch.js";
import { forEachBackend } from "../support/backends.ts";
import { expectClose, forwardError, furthest, largest } from "../support/closeness.ts";
import { byHand, lossByHand } from "./by-hand.ts";
import { kinds, learned, rotary, tokenizer, vocabSize, weightsOf, withAdapter, withModel } from "./models.ts";

const [clean, corrupted] = ["abacadbeecaf", "abakadbeecmf"];
const [cleanIds, ids] = [clean, corrupted].map((text) => tokenizer.encode(text)) as [Int32Array, Int32Array];
const place = { layer: 1, position: 3 };

forEachBackend("activations of another text", ({ open }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open(2);
  });
  afterAll(() => backend.close());

  describe.each(kinds)("%s", (_, config) => {
    it.each(["attention", "mlp", "residual"] as const)("give the logits of plain loops, %s", async (part) => {
      const lm = withModel(backend, config);
      const weights = await weightsOf(lm.model);
      const source = byHand(config, cleanIds, weights).stream;
      const stage = 1 + 2 * place.layer + (part === "attention" ? 0 : 1);
      const { stream, logits } = byHand(config, ids, weights, [], (at, before, after) => {
        if (at !== stage) return after;
        const row = (rows: readonly Float64Array[] | undefined, c: number) => rows?.[place.position]?.[c] as number;
        return after.map((own, t) => {
          if (t !== place.position) return own;
          if (part === "residual") return source[stage]?.[t] as Float64Array;
          return own.map((_, c) => row(before, c) + row(source[stage], c) - row(source[stage - 1], c));
        });
      });
      const rows = logits(stream.at(-1) ?? []);
      const expected = Float64Array.from(rows.flatMap((row) => [...row]));
      const tolerance = forwardError({ ...config, vocabSize }) * largest(expected);
      const held = backend.bytesInUse();
      const found = await patched(lm, { clean, corrupted, ...place, part });
      expect(backend.bytesInUse()).toBe(held);
      expectClose(part, [
        furthest("logits", found.logits.data, expected, tolerance),
        furthest("loss", [found.loss ?? Number.NaN], [lossByHand(rows, ids)], 2 * tolerance),
      ]);
      const own = await lm.logits(ids);
      expect(furthest("unpatched", own.data, expected, tolerance).ratio).toBeGreaterThan(1);
      await lm.close();
    });
  });

  it("change nothing if they are the text's own, and nothing before their position", async () => {
    const { lm } = withAdapter(backend, rotary);
    const own = await lm.logits(ids);
    const same = await patched(lm, { clean: ids, corrupted: ids, ...place, part: "residual" });
    expect(same.logits).toEqual(own);
    expect(same.loss).toBeCloseTo(-(await lm.score(ids)).mean, 12);
    for (const part of ["attention", "mlp"] as const) {
      const { logits } = await patched(lm, { clean: ids, corrupted: ids, ...place, part });
      const tolerance = forwardError({ ...rotary, vocabSize }) * largest(own.data);
      expectClose(part, [furthest(part, logits.data, own.data, tolerance)]);
    }
    const other = await patched(lm, { clean: "mlkjihgfedcb", corrupted, ...place, part: "mlp" });
    const before = place.position * vocabSize;
    expect(other.logits.data.subarray(0, before)).toEqual(own.data.subarray(0, before));
    expect(other.logits.data.subarray(before)).not.toEqual(own.data.subarray(before));
    await lm.close();
  });

  it("refuse texts of different lengths, and places that there are not", async () => {
    const lm = withModel(backend, learned);
    await expect(patched(lm, { clean: "ab", corrupted: "abc", ...place, part: "mlp" })).rejects.toThrow(
      "patched: clean and corrupted must have the same number of tokens; got 2 and 3",
    );
    await expect(patched(lm, { clean: "ab", corrupted: [0, 99], ...place, part: "mlp" })).rejects.toThrow(ShapeError);
    await expect(patched(lm, { clean, corrupted, layer: 2, position: 0, part: "mlp" })).rejects.toThrow(
      "patched.layer: must be at most 1; got 2",
    );
    await expect(patched(lm, { clean, corrupted, ...place, part: "all" as never })).rejects.toThrow(ConfigError);
    expect(
      (await patched(lm, { clean: "a", corrupted: "b", layer: 0, position: 0, part: "residual" })).loss,
    ).toBeNull();
    await lm.close();
    await expect(patched(lm, { clean, corrupted, ...place, part: "mlp" })).rejects.toThrow("the model must be open");
  });
});
