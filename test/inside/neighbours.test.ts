import { afterAll, beforeAll, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { ConfigError, DataError, ShapeError } from "#foretoken/core/errors/errors.js";
import { neighboursOf } from "#foretoken/inside/neighbours.js";
import { forEachBackend } from "../support/backends.ts";
import { learned, rotary, tokenizer, vocabSize, weightsOf, withModel } from "./models.ts";

/** Cosines of all rows with one row. */
const cosinesOf = (matrix: Float64Array, id: number): readonly number[] => {
  const width = matrix.length / vocabSize;
  const rows = Array.from({ length: vocabSize }, (_, v) => Array.from(matrix.subarray(v * width, (v + 1) * width)));
  const own = rows[id] ?? [];
  return rows.map(
    (row) => row.reduce((sum, x, c) => sum + x * (own[c] ?? 0), 0) / (Math.hypot(...row) * Math.hypot(...own)),
  );
};

forEachBackend("nearest tokens", ({ open }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open(1);
  });
  afterAll(() => backend.close());

  it("are those of a search through all rows, of the embedding or the head", async () => {
    for (const config of [learned, rotary]) {
      const lm = withModel(backend, config);
      const weights = await weightsOf(lm.model);
      for (const of of ["embedding", "head"] as const) {
        const matrix = weights(of === "head" && !config.tieEmbeddings ? "head.weight" : "tokens.weight");
        const cosines = cosinesOf(matrix ?? new Float64Array(), 4);
        const order = Array.from(cosines.keys())
          .filter((id) => id !== 4)
          .sort((a, b) => (cosines[b] ?? 0) - (cosines[a] ?? 0));
        const all = await neighboursOf(lm, 4, { of, top: 1000 });
        expect(all.token).toEqual({ id: 4, text: "e" });
        expect(all.neighbours.map(({ id }) => id)).toEqual(order);
        for (const { id, cosine, text } of all.neighbours) {
          expect(cosine).toBeCloseTo(cosines[id] ?? 0, 12);
          expect(text).toBe(tokenizer.token(id));
        }
        const three = await neighboursOf(lm, "e", { of, top: 3 });
        expect(three).toEqual({ ...all, neighbours: all.neighbours.slice(0, 3) });
      }
      await lm.close();
    }
  });

  it("are at an angle of 90 degrees to a row of zeros, and equal ones in the order of their ids", async () => {
    const lm = withModel(backend, learned);
    const { nEmbd } = learned;
    const { offset } = lm.model.parameters.tokens;
    lm.model.writeWeights(new Float32Array(2 * nEmbd), offset + 7 * nEmbd);
    const row = Float32Array.from(await backend.read(lm.model.parameters.tokens.storage, offset, nEmbd));
    for (const id of [9, 5])
      lm.model.writeWeights(
        row.map((value) => 4 * value),
        offset + id * nEmbd,
      );
    const { neighbours } = await neighboursOf(lm, 0, { top: 20 });
    expect(neighbours).toHaveLength(vocabSize - 1);
    expect(neighbours.slice(0, 2).map(({ id }) => id)).toEqual([5, 9]);
    expect(neighbours.filter(({ cosine }) => cosine === 0).map(({ id }) => id)).toEqual([7, 8]);
    expect((await neighboursOf(lm, 7, { top: 2 })).neighbours).toMatchObject([{ id: 0 }, { id: 1 }]);
    await lm.close();
  });

  it("refuse what is not one token", async () => {
    const lm = withModel(backend, learned);
    await expect(neighboursOf(lm, "ab")).rejects.toThrow(
      "neighboursOf: token: must be the text of one token, or its id; got 2 tokens",
    );
    await expect(neighboursOf(lm, "")).rejects.toThrow(DataError);
    await expect(neighboursOf(lm, vocabSize)).rejects.toThrow(ShapeError);
    await expect(neighboursOf(lm, 0, { of: "body" as never })).rejects.toThrow(ConfigError);
    await lm.close();
    await expect(neighboursOf(lm, 0)).rejects.toThrow("neighboursOf: the model must be open");
  });
});
