import { expect, test } from "vitest";
import { spend, within } from "#foretoken/generate/constraint/budget.js";

test("work within other work takes its steps from both", () => {
  expect(() => within(10, "outer", () => within(20, "inner", () => spend(11, "here")))).toThrow(
    "here: must be simple enough",
  );
  const both = (): void =>
    within(10, "outer", () => {
      within(8, "inner", () => spend(6, "inner"));
      spend(5, "after");
    });
  expect(both).toThrow("after: must be simple enough");
  // Without a budget, the steps are not counted.
  expect(() => spend(1e9, "nobody")).not.toThrow();
});
