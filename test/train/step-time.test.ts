import { expect, it } from "vitest";
import { type PlanOptions, planRun } from "#foretoken/train/plan.node.js";
import { timeSteps } from "#foretoken/train/step-time.node.js";
import { catText } from "../serve/studio.ts";

const small = { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8, mlp: { hidden: 8 } };
const wasm = { backend: "wasm", threads: 1 } as const;

it.each<[string, PlanOptions]>([
  ["a text", { text: catText, config: { model: small } }],
  ["several threads", { text: catText, config: { model: small, train: { batchSize: 600 } }, threads: 2 }],
  ["documents", { documents: [{ text: "the cat sat" }, { text: "it had a hat" }], config: { model: small } }],
  [
    "longer rows, with the reference backend",
    { text: catText, config: { model: { ...small, contextLength: 64 } }, backend: "reference" },
  ],
])("times steps of %s", async (_name, options) => {
  const { config, vocabSize, work } = await planRun({ ...wasm, ...options });
  expect(work.canTime).toBe(true);
  const { tokenSeconds, updateSeconds } = await timeSteps({ ...wasm, ...options, config, vocabSize });
  expect(tokenSeconds).toBeGreaterThan(0);
  expect(updateSeconds).toBeGreaterThan(0);
  expect(Number.isFinite(tokenSeconds + updateSeconds)).toBe(true);
});

it("plans the tokens of a step, of the prompt and of the last sample", async () => {
  const { work } = await planRun({
    ...wasm,
    text: catText,
    prompt: "The cat",
    config: { model: small, train: { batchSize: 3 } },
  });
  const { threads } = wasm;
  const expected = { stepTokens: 24, promptTokens: 7, finalSampleTokens: 400, backend: "wasm", threads, canTime: true };
  expect(work).toEqual(expected);
  const documents = [{ text: "the cat" }, { text: "it sat" }];
  const rows = await planRun({ ...wasm, documents, config: { model: small, train: { rows: "one", batchSize: 2 } } });
  expect(rows.work.stepTokens).toBeLessThan(16);
  // Attention over a long context takes longer than the few parameters.
  const long = { text: catText.repeat(80), backend: "reference", threads: 1 } as const;
  const model = { ...small, position: { kind: "rope" }, contextLength: 2048 } as const;
  const ofLength = (contextLength: number) =>
    planRun({ ...long, config: { model: { ...model, contextLength }, train: { batchSize: 2048 / contextLength } } });
  const [wide, narrow] = [await ofLength(2048), await ofLength(8)];
  expect([wide.parameters, wide.work.stepTokens]).toEqual([narrow.parameters, narrow.work.stepTokens]);
  expect([wide.work.canTime, narrow.work.canTime]).toEqual([false, true]);
  const scarce = await planRun({ ...wasm, text: catText, config: { model: small }, availableMemory: 1000 });
  expect(scarce.work.canTime).toBe(false);
});

it("ends at once if it is aborted", async () => {
  const { config, vocabSize } = await planRun({ ...wasm, text: catText, config: { model: small } });
  await expect(timeSteps({ ...wasm, config, vocabSize }, AbortSignal.abort("newer"))).rejects.toBe("newer");
});
