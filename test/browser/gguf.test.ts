import { readFile, writeFile } from "node:fs/promises";
import { beforeAll, expect, it } from "vitest";
import { evaluate as evaluateInNode } from "#foretoken/evaluate/evaluate.node.js";
import type { AdapterFiles } from "#foretoken/pretrained/adapter/opened.js";
import { saveGguf } from "#foretoken/pretrained/gguf/write/save.node.js";
import { loadPretrained } from "#foretoken/pretrained/load.browser.js";
import { loadPretrained as loadInNode } from "#foretoken/pretrained/load.node.js";
import { evaluate, train } from "#foretoken/train/train.browser.js";
import { train as trainInNode } from "#foretoken/train/train.node.js";
import { writeGguf } from "../support/gguf.ts";
import { ggufModel } from "../support/gguf-models.ts";
import { collect, ofType, useFolder, wordsText } from "../support/runs.ts";

const { newPath } = useFolder();
const text = wordsText("page", 120);
let path = "";
/** A blob URL, as a page makes it for a file that the user has chosen. */
let address = "";
beforeAll(async () => {
  const wide = `${newPath()}.gguf`;
  await writeFile(wide, writeGguf(ggufModel("llama").file));
  path = `${newPath()}.gguf`;
  await saveGguf(path, wide, { encoding: "q4_1" });
  const bytes = (await readFile(path)) as Uint8Array<ArrayBuffer>;
  address = `${URL.createObjectURL(new Blob([bytes]))}#model.gguf`;
});

it("a page loads a GGUF file, in its blocks unless it is told otherwise, with the numbers of Node", async () => {
  const lossOf = async (keepBlocks?: boolean): Promise<number> => {
    const lm = await loadPretrained(address, { backend: "reference", keepBlocks });
    const { natsPerToken } = await evaluate(lm, { text });
    await lm.close();
    return natsPerToken;
  };
  const lm = await loadInNode(path, { backend: "reference" });
  const { natsPerToken } = await evaluateInNode(lm, { text });
  await lm.close();
  expect(await lossOf()).toBe(natsPerToken);
  expect(await lossOf(false)).not.toBe(natsPerToken);
});

it("a page trains adapters beside the blocks of a GGUF file, with the losses of Node, and loads them for it", async () => {
  const lora = { rank: 2, alpha: 4 };
  const config = {
    lora,
    train: { steps: 3, batchSize: 2, sampleTokens: 0, evalInterval: 3, checkpointInterval: 3, learningRate: 0.05 },
  };
  let adapter: AdapterFiles | undefined;
  const onAdapter = (files: AdapterFiles): void => {
    adapter = files;
  };
  const shared = { text, config, backend: "reference", finalSampleTokens: 0 } as const;
  const lossesOf = (events: Awaited<ReturnType<typeof collect>>) => [
    ...ofType(events, "step").map(({ loss }) => loss),
    ...ofType(events, "eval").map(({ valLoss }) => valLoss),
  ];
  const here = lossesOf(await collect(train({ ...shared, initFrom: address, onAdapter })));
  expect(here).toEqual(lossesOf(await collect(trainInNode({ ...shared, initFrom: path }))));
  const widened = lossesOf(await collect(train({ ...shared, initFrom: address, keepBlocks: false })));
  expect(widened.slice(0, 3)).toEqual(here.slice(0, 3));
  expect(widened.at(-1)).not.toBe(here.at(-1));
  const lm = await loadPretrained(address, { backend: "reference", adapter });
  const valText = text.slice(Math.floor(text.length * 0.9));
  expect((await evaluate(lm, { text: valText })).natsPerToken).toBeCloseTo(here.at(-1) ?? 0, 10);
  await lm.close();
  await expect(collect(train({ ...shared, config: {}, keepBlocks: true }))).rejects.toThrow(
    /^keepBlocks: must be used with adapters/u,
  );
  await expect(loadPretrained(address, { keepBlocks: 1 as unknown as boolean })).rejects.toThrow(/keepBlocks/u);
});
