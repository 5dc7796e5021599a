/**
 * Constants, models and files that the tables share. The constants, models and files are created once, before the
 * tests.
 */
import { afterAll, beforeAll } from "vitest";
import * as browser from "#foretoken/browser.js";
import * as foretoken from "#foretoken/index.js";
import { loraModel } from "#foretoken/models/lora/model.js";
import { useFolder, wordsText } from "../support/runs.ts";

export const tinyModel = { ...foretoken.presets.quick.model, contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8 };

export const tinyConfig = {
  model: tinyModel,
  train: { steps: 1, batchSize: 1, evalInterval: 1, checkpointInterval: 1, sampleTokens: 0 },
};

/** A text that is long enough for training. */
export const shortText = "the cat sat on a mat and ran".repeat(5);

type Folder = ReturnType<typeof useFolder>;

export interface Setup extends Pick<Folder, "newPath"> {
  /** Path of a text file. */
  readonly data: string;
  readonly backend: foretoken.Backend;
  readonly lm: foretoken.LanguageModel;
  /** The folder of a run. */
  readonly run: string;
  /** The folder of `lm`, its files, and the model that the browser's entry loads from these files. */
  readonly checkpoint: string;
  readonly files: browser.CheckpointFiles;
  readonly browserLm: browser.LanguageModel;
  /** The files of a run's last checkpoint. */
  readonly runFiles: browser.CheckpointFiles;
  /** An open context, and logits [1, 2, V] in it. */
  readonly context: foretoken.Context;
  readonly logits: foretoken.Tensor;
  /** A model with a chat template. */
  readonly chatLm: foretoken.LanguageModel;
  /** A model with an active adapter, the adapter's folder, and its files. */
  readonly adaptedLm: foretoken.LanguageModel;
  readonly adapter: string;
  readonly adapterFiles: browser.AdapterFiles;
}

/** The last checkpoint of a run of one step, as `onCheckpoint` gets it. */
const runOneStep = async (): Promise<browser.CheckpointFiles> => {
  let files: browser.CheckpointFiles | undefined;
  const onCheckpoint = (given: browser.CheckpointFiles): void => {
    files = given;
  };
  const options = { text: shortText, backend: "reference", preset: "quick", finalSampleTokens: 0 } as const;
  for await (const event of browser.train({ ...options, config: tinyConfig, onCheckpoint })) {
    if (event.type === "done") break;
  }
  return files as browser.CheckpointFiles;
};

const makeSetup = async ({ newPath, writeText }: Folder): Promise<Setup> => {
  const text = wordsText("arguments", 60);
  const backend = await foretoken.openBackend("reference");
  const tokenizer = foretoken.trainCharTokenizer(text);
  const lm = foretoken.languageModel(foretoken.freshModel(backend, tinyModel, tokenizer.vocabSize, 1), tokenizer);
  const context = foretoken.inferenceContext(backend);
  const logits = foretoken.forward(context, lm.model, [0, 1], 1, 2);
  // No process is started, because the messages are refused or too long.
  const chatTemplate = { template: "{{ messages }}", bosToken: "", eosToken: "" };
  const chatLm = foretoken.languageModel(lm.model, tokenizer, undefined, { chatTemplate });
  const checkpoint = newPath();
  await foretoken.savePretrained(checkpoint, lm);
  const files = await browser.savePretrained(lm);

  const run = newPath();
  for await (const _ of foretoken.train({ text, out: run, backend, config: tinyConfig, finalSampleTokens: 0 }));

  const base = foretoken.freshModel(backend, tinyModel, tokenizer.vocabSize, 1);
  const adapters = { notes: loraModel(base, { rank: 1 }, 1) };
  const adaptedLm = foretoken.languageModel(base, tokenizer, undefined, { adapters });
  const adapter = newPath();
  await foretoken.saveAdapter(adapter, adaptedLm, { base: checkpoint });

  return {
    ...{ newPath, backend, lm, context, logits, chatLm, run, checkpoint, files, adaptedLm, adapter },
    data: await writeText(text),
    browserLm: await browser.loadPretrained(files, { backend: "reference" }),
    runFiles: await runOneStep(),
    adapterFiles: await browser.saveAdapter(adaptedLm),
  };
};

/**
 * This object is created before the tests of a file and closed after them. The fields of the object exist only during
 * the tests.
 */
export const useSetup = (): Setup => {
  const folder = useFolder();
  const setup: Partial<Setup> = {};
  beforeAll(async () => {
    Object.assign(setup, await makeSetup(folder));
  });
  afterAll(async () => {
    await setup.browserLm?.close();
    await setup.adaptedLm?.close();
    setup.context?.memory.close();
    await setup.lm?.close();
    await setup.backend?.close();
  });
  return setup as Setup;
};
