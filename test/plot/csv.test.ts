import { expect, test } from "vitest";
import { csvHead, isOurCsv, runsCsv } from "#foretoken/plot/csv.js";
import type { DrawnRun } from "#foretoken/plot/curves.js";
import { differencesOf } from "#foretoken/plot/differences.js";

const run: DrawnRun = {
  name: 'a, "b"\nc',
  tokensPerStep: 100,
  differences: [],
  numbers: {
    steps: {
      step: [1, 3],
      loss: [2.5, 1 / 3],
      learningRate: [1e-7, 0.5],
      gradNorm: [1, 2],
      tokensPerSecond: [50, 200],
    },
    evals: { step: [0, 3], valLoss: [4, 3.5] },
    leftOut: [2],
  },
};

test("a table has each step and each evaluation, to the last digit", async () => {
  const text = runsCsv([run]);
  const name = '"a, ""b""\nc"';
  expect(text).toBe(
    `${csvHead}\n${name},0,0,,,,,,4\n${name},1,100,2,2.5,1e-7,1,50,\n${name},3,300,2.5,0.3333333333333333,0.5,2,200,3.5\n`,
  );
  expect(await isOurCsv([text])).toBe(true);
  expect(await isOurCsv(text)).toBe(true);
  expect(await isOurCsv(["run,step\n"])).toBe(false);
});

test("a table of a run with averaged weights has a column more", async () => {
  const evals = { step: [0, 3], valLoss: [4, 3.5], averagedLoss: [null, 3.25] };
  const averaged = { ...run, name: "b", numbers: { ...run.numbers, evals } };
  const text = runsCsv([run, averaged]);
  expect(text.split("\n")[0]).toBe(`${csvHead},averaged_val_loss`);
  expect(text).toContain('"b",0,0,,,,,,4,\n');
  expect(text).toContain('"b",3,300,2.5,0.3333333333333333,0.5,2,200,3.5,3.25\n');
  expect(await isOurCsv([text])).toBe(true);
  expect(await isOurCsv([text.replace(",3.25\n", "\n")])).toBe(false);
});

test.each([
  ["a row of another form", `${csvHead}\nmy,notes,1,2\n`],
  ["a row of another form after ours", `${runsCsv([run])}my,notes,1,2\n`],
  ["a name without its quotes", `${csvHead}\na,1,100,2,2.5,1e-7,1,50,\n`],
  ["a column more", `${csvHead}\n"a",1,100,2,2.5,1e-7,1,50,,mine\n`],
  ["a text in a cell", `${csvHead}\n"a",1,100,2,2.5,1e-7,1,50,=1+1\n`],
  ["a text without an end", `${runsCsv([run])}a note`],
  ["a quote without an end", `${csvHead}\n"${"a".repeat(100_000)}`],
])("a table with %s is another file", async (_, text) => {
  expect(await isOurCsv([text])).toBe(false);
  expect(await isOurCsv(text.match(/[\s\S]{1,7}/gu) ?? [])).toBe(false);
});

test("a table of any numbers is ours", async () => {
  const values = [5e-324, 1.7976931348623157e308, -0.1, 123_456_789.25];
  const steps = { ...run.numbers.steps, step: [1, 2, 3, 4], loss: values, gradNorm: values, learningRate: values };
  const numbers = { ...run.numbers, steps: { ...steps, tokensPerSecond: [0, 1e-9, 1e21, 7] } };
  const text = runsCsv([{ ...run, numbers, tokensPerStep: 1e21 }]);
  expect(await isOurCsv([text])).toBe(true);
});

test.each(["=1+1", "+1", "-1", "@a", "\ta"])("%j as a name is no formula in a table", (name) => {
  expect(runsCsv([{ ...run, name }]).split("\n")[1]).toMatch(/^"'/u);
});

test("differences of configurations are those fields that are not the same in all, or not in all", () => {
  const first = { train: { steps: 5, lr: 0.1, schedule: { kind: "linear", least: 0 } }, list: [1, 2], same: "x" };
  const second = { train: { steps: 5, lr: 0.2, schedule: { kind: "constant" } }, list: [1, 3], same: "x", more: null };
  expect(differencesOf([first, second])).toEqual([
    ["train.lr 0.1", "train.schedule.kind linear", "train.schedule.least 0", "list [1,2]"],
    ["train.lr 0.2", "train.schedule.kind constant", "list [1,3]", "more null"],
  ]);
  expect(differencesOf([first])).toEqual([[]]);
});
