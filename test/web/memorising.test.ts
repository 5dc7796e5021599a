import { describe, expect, it } from "vitest";
import { memorisingAt } from "../../web/run/memorising.ts";

const at = (valLoss: readonly number[], trainLoss: readonly number[] = valLoss.map((_, i) => 3 - 0.1 * i)) =>
  memorisingAt({ step: valLoss.map((_, i) => 50 * i), valLoss, trainLoss, length: valLoss.length });

describe("the hint that a model learns its text by heart", () => {
  it("comes with a validation loss that clearly rises while the training loss falls", () => {
    expect(at([3, 2.5, 2.7])).toEqual({ bestStep: 50, bestValLoss: 2.5, valLoss: 2.7 });
    expect(at([3, 2.5, 2.54])).toBeUndefined();
    expect(at([3, 2.5, 2.54, 2.54])).toEqual({ bestStep: 50, bestValLoss: 2.5, valLoss: 2.54 });
  });

  it("goes when a later evaluation is the best, or about as good as it", () => {
    expect(at([3, 2.5, 2.7, 2.4])).toBeUndefined();
    expect(at([3, 2.5, 2.7, 2.51])).toBeUndefined();
  });

  it("does not come from a rise before anything was learned, nor with a training loss that rises too", () => {
    expect(at([3, 3.4], [Number.NaN, 3.5])).toBeUndefined();
    expect(at([3, 2.5, 2.9], [3, 2.5, 2.9])).toBeUndefined();
    expect(at([])).toBeUndefined();
  });
});
