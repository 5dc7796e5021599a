import fc from "fast-check";
import { expect, it } from "vitest";
import { arenaLayout } from "#foretoken/models/arena.js";
import { modelLayout } from "#foretoken/models/model.js";
import { piecesOfLayout } from "#foretoken/models/pieces.js";
import { bookModel } from "../support/models.ts";

const shape = fc.oneof(
  fc.tuple(fc.integer({ min: 1, max: 400 })),
  fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 200 })),
);

it("is all of a layout in order, and no piece has parts of two matrices, or of matrices and vectors", () => {
  fc.assert(
    fc.property(fc.array(shape, { minLength: 1, maxLength: 12 }), (shapes) => {
      const layout = arenaLayout((declare) => {
        for (const [i, one] of shapes.entries()) declare({ name: `p${i}`, shape: one, init: { kind: "zeros" } });
      });
      const pieces = piecesOfLayout(layout);
      let at = 0;
      for (const { from, to } of pieces) {
        expect(from).toBe(at);
        expect(to).toBeGreaterThan(from);
        at = to;
      }
      expect(at).toBe(layout.length);
      for (const { from, to } of pieces) {
        const inside = layout.parameters.filter(({ offset, size }) => offset < to && offset + size > from);
        const matrices = inside.filter((one) => one.shape.length >= 2);
        expect(matrices.length === 0 || inside.length === 1).toBe(true);
      }
    }),
  );
});

it("makes about a thousand of a large model, and few of a small one", () => {
  const large = piecesOfLayout(modelLayout({ ...bookModel, nEmbd: 768, nLayer: 12 }, 50_257));
  expect(large.length).toBeGreaterThan(500);
  expect(large.length).toBeLessThan(1100);
  expect(piecesOfLayout(modelLayout({ ...bookModel, nEmbd: 16, nLayer: 1 }, 65)).length).toBeLessThan(12);
});
