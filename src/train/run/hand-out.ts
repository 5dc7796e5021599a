/**
 * Passes checkpoints to the caller's `onCheckpoint` or `onAdapter`, in addition to a run's folder or instead of one.
 */

import type { RunConfig } from "../../config/config.ts";
import type { Binding } from "../../io/manifest.ts";
import type { ReadValues } from "../../models/arena.ts";
import type { AdapterBase } from "../../pretrained/adapter/config.ts";
import type { AdapterFiles } from "../../pretrained/adapter/opened.ts";
import { adapterTextFiles } from "../../pretrained/adapter/text.ts";
import { adapterFiles } from "../../pretrained/adapter/write.ts";
import { bytesOf, filesInMemory } from "../../pretrained/files/checkpoint-files.ts";
import type { CheckpointFiles } from "../../pretrained/files/names.ts";
import { type KeptFacts, pretrainedFiles } from "../../pretrained/files/pretrained-files.ts";
import { descriptionText, type RunDescription } from "../../runs/description.ts";
import { folderNames } from "../../runs/folder-names.ts";
import { keptNames, type RunData } from "../../runs/run-schemas.ts";
import { configHashInMemory } from "../../runs/same-config.ts";
import type { RunStore, SavedState } from "../../runs/store.ts";
import { stateContents } from "../../runs/write/state-files.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { type HandOut, handedTo, type WhichWeights } from "./callbacks.ts";

/** A store in memory that keeps only the events. @param past earlier events of the run. */
const keepNotes = (path: string, past: readonly unknown[]): RunStore => {
  const lines = past.map((note) => JSON.stringify(note));
  return {
    path,
    async record(event) {
      // A resumed run keeps only its first `start` event, as a run's folder does. So its events equal the events of an
      // uninterrupted run.
      if (event.type !== "start" || lines.length === 0) lines.push(JSON.stringify(event));
    },
    async *notes() {
      yield new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
    },
    saveCheckpoint: async () => path,
    saveBest: async () => {},
  };
};

/** The run whose checkpoints the callback gets. */
export interface HandedOutRun {
  readonly config: RunConfig;
  readonly tokenizer: Tokenizer;
  /** Facts about the model that the run started from. */
  readonly facts?: KeptFacts | undefined;
  /** The documents that the run trains on; absent if it trains on a text. */
  readonly documents?: unknown;
  /** The run's description, for `run.json`; null if its text has no hash, so that the run cannot be resumed. */
  readonly description: RunDescription | null;
  /** Earlier events of a resumed run that has no folder. */
  readonly past?: readonly unknown[];
}

/**
 * A description for files outside the run's folder: given data gets the file names that it would have in a run's
 * folder.
 */
const portable = ({ data, ...description }: RunDescription): RunDescription => {
  if (data.kept !== true) return { ...description, data };
  const names = keptNames(data.documents === true);
  const kept: RunData = { ...data, data: names.data, valData: data.valData === null ? null : names.valData };
  return { ...description, data: kept };
};

/** Passes checkpoints to one of the callbacks. */
interface Giving {
  last(state: SavedState): Promise<void>;
  best(values: ReadValues, step: number, which: "best" | "averaged"): Promise<void>;
}

const givingModels = (
  { config, tokenizer, facts, description }: HandedOutRun,
  keeper: RunStore,
  onCheckpoint: NonNullable<HandOut["onCheckpoint"]>,
): Giving => {
  const bindingAt = async (step: number): Promise<Binding | null> => {
    const hash = await configHashInMemory(config);
    return hash === null ? null : { step, config: hash };
  };
  const weights = (read: ReadValues) => pretrainedFiles(config.model, tokenizer, read, facts);
  return {
    async last(state) {
      const contents = { ...weights(state.weights.read), ...stateContents(config, state) };
      const files = (await filesInMemory(contents, await bindingAt(state.progress.step))) as CheckpointFiles;
      // These files are not in the manifest. The manifest in a run's folder does not have them either.
      const ofRun =
        description === null
          ? {}
          : {
              [folderNames.description]: await bytesOf(descriptionText(portable(description))),
              ...(keeper.notes === undefined ? {} : { [folderNames.metrics]: await bytesOf(keeper.notes()) }),
            };
      await onCheckpoint({ ...files, ...ofRun }, "last");
    },
    async best(values, step, which) {
      const files = await filesInMemory(weights(values), await bindingAt(step));
      await onCheckpoint(files as CheckpointFiles, which);
    },
  };
};

const givingAdapters = (
  { config: { model, lora }, facts, documents }: HandedOutRun,
  base: AdapterBase,
  onAdapter: NonNullable<HandOut["onAdapter"]>,
): Giving => {
  const text = documents === undefined || facts === undefined ? {} : adapterTextFiles(facts);
  const give = async (values: ReadValues, which: WhichWeights): Promise<void> => {
    if (lora === undefined) return;
    const files = { ...adapterFiles(model, lora, values, base), ...text };
    await onAdapter((await filesInMemory(files)) as AdapterFiles, which);
  };
  return { last: ({ weights }) => give(weights.read, "last"), best: (values, _step, which) => give(values, which) };
};

/**
 * A store that passes each checkpoint to a callback.
 * @param store saves each checkpoint first; null if checkpoints are saved nowhere else.
 * @param base the base model of adapters.
 */
export const handingOut = (
  store: RunStore | null,
  callbacks: HandOut,
  run: HandedOutRun,
  base: AdapterBase,
): RunStore | null => {
  const name = handedTo(callbacks);
  const { onCheckpoint, onAdapter } = callbacks;
  if (name === null) return store;
  const keeper = store ?? keepNotes(name, run.past ?? []);
  const give =
    onCheckpoint !== undefined
      ? givingModels(run, keeper, onCheckpoint)
      : givingAdapters(run, base, onAdapter ?? (() => {}));
  return {
    ...keeper,
    async saveCheckpoint(state) {
      const path = await keeper.saveCheckpoint(state);
      await give.last(state);
      return path;
    },
    async saveBest(values, step) {
      await keeper.saveBest(values, step);
      await give.best(values, step, "best");
    },
    async saveAveraged(values, step) {
      await keeper.saveAveraged?.(values, step);
      await give.best(values, step, "averaged");
    },
  };
};
