import { expect, it } from "vitest";
import { modelGroups } from "../../web/models/model-groups.ts";

const named = (...names: readonly string[]) => names.map((name, i) => ({ name, key: `${name} ${i}` }));
const shown = (...names: readonly string[]) =>
  modelGroups(named(...names)).map(({ label, models }) => [label, ...models.map(({ name }) => name)]);

it("groups models by run, and puts the runs of a sweep last, in the order of settings and seeds", () => {
  expect(
    shown("smollm2", "rates:12-seed1", "rates:04-seed2", "notes", "notes", "rates:04-seed1", "other:01-seed-3", "old"),
  ).toEqual([
    ["smollm2", "smollm2"],
    ["notes", "notes", "notes"],
    ["old", "old"],
    ["Sweep rates", "rates:04-seed1", "rates:04-seed2", "rates:12-seed1"],
    ["Sweep other", "other:01-seed-3"],
  ]);
});

it("keeps the order of a run's checkpoints, and takes only names of a sweep's runs for a sweep", () => {
  const [group] = modelGroups(named("rates:01-seed1", "rates:01-seed1"));
  expect(group?.models.map(({ key }) => key)).toEqual(["rates:01-seed1 0", "rates:01-seed1 1"]);
  expect(shown("a:b", "01-seed1", "org/name")).toEqual([
    ["a:b", "a:b"],
    ["01-seed1", "01-seed1"],
    ["org/name", "org/name"],
  ]);
});
