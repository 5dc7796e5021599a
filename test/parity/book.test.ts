import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { forEachBackend } from "../support/backends.ts";
import {
  type Closeness,
  expectClose,
  forwardError,
  furthest,
  gradientError,
  type PassSizes,
} from "../support/closeness.ts";
import { hashSign } from "../support/hash.ts";
import { bookModel, differentiate, hashedIds, hashedModel } from "../support/models.ts";

interface Fixture {
  readonly torch: string;
  readonly seed: number;
  readonly config: PassSizes;
  readonly batch: number;
  readonly loss: number;
  readonly largestLogit: number;
  readonly rows: readonly number[];
  readonly logits: readonly (readonly number[])[];
  readonly gradients: Readonly<
    Record<
      string,
      {
        readonly largest: number;
        readonly norm: number;
        readonly projections: readonly number[];
        readonly places: readonly number[];
        readonly values: readonly number[];
      }
    >
  >;
}

const fixture = JSON.parse(readFileSync(new URL("../fixtures/book.json", import.meta.url), "utf8")) as Fixture;
const { config, batch } = fixture;
const { vocabSize, contextLength: time } = config;
const x = hashedIds("x", batch * time, vocabSize);
const y = hashedIds("y", batch * time, vocabSize);

const norm = (values: Float32Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
const projection = (name: string, j: number, values: Float32Array): number => {
  const signs = `signs ${j} ${name}`;
  return values.reduce((sum, value, i) => sum + value * hashSign(signs, i), 0);
};

forEachBackend(`a model of the reference task's shape against PyTorch ${fixture.torch}`, ({ open }) => {
  it("has its logits, its loss and every gradient", { timeout: 60_000 }, async () => {
    const backend = await open(2);
    try {
      const model = hashedModel(backend, bookModel, vocabSize);
      expect(model.layout.count).toBe(824_832);
      const { loss, logits, gradients } = await differentiate(model, x, y, time);
      const found: Closeness[] = [];

      const forward = forwardError(config);
      found.push(furthest("loss", [loss], [fixture.loss], forward * fixture.largestLogit));
      for (const [i, row] of fixture.rows.entries()) {
        const ours = logits.subarray(row * vocabSize, (row + 1) * vocabSize);
        found.push(furthest(`logits row ${row}`, ours, fixture.logits[i] ?? [], forward * fixture.largestLogit));
      }

      const backward = gradientError(config, batch * time);
      expect([...gradients.keys()].sort()).toEqual(Object.keys(fixture.gradients).sort());
      for (const [name, expected] of Object.entries(fixture.gradients)) {
        const gradient = gradients.get(name) ?? new Float32Array(0);
        const sampled = expected.places.map((place) => gradient[place] as number);
        found.push(furthest(name, sampled, expected.values, backward * expected.largest));
        found.push(furthest(`norm of ${name}`, [norm(gradient)], [expected.norm], backward * expected.norm));
        // The elements of a sum have random signs. So the error of a sum of n elements is √n times the error of one
        // element, like the norm.
        const projections = expected.projections.map((_, j) => projection(name, j, gradient));
        found.push(furthest(`projections of ${name}`, projections, expected.projections, backward * expected.norm));
      }
      expectClose(backend.name, found);
      model.close();
    } finally {
      await backend.close();
    }
  });
});
