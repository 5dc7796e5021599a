/** The module of a page's workers: it trains, or holds models, generates with them and evaluates them. */
import type { BackendChoice } from "../backend/select.browser.ts";
import type { CallContext } from "../core/remote/server.ts";
import { serveWorker } from "../core/remote/worker.browser.ts";
import { evaluateChoices } from "../evaluate/choices.ts";
import { evaluateCorpus } from "../evaluate/evaluate-corpus.ts";
import type { CheckpointFiles } from "../pretrained/files/checkpoint-files.ts";
import { type AdapterSource, loadOpened } from "../pretrained/load.browser.ts";
import type { TrainEvent } from "../runs/events.ts";
import type { HandOut } from "../train/run/callbacks.ts";
import { type TrainOptions, train } from "../train/train.browser.ts";
import { modelMethods } from "./model-methods.ts";
import { handOutOf } from "./train.ts";

/** A model to load, in the form of `loadPretrained`'s arguments. */
export interface LoadRequest {
  /** A complete address: a worker may have another base than its page. */
  readonly checkpoint: string | CheckpointFiles;
  /** The name of a backend. Default "wasm". */
  readonly backend?: BackendChoice | undefined;
  /** Threads of the backend, 1 to 256; default: all cores. */
  readonly threads?: number | undefined;
  /** A LoRA adapter for the model, which is then in use as "default": the address of its folder, or its files. Default: none. */
  readonly adapter?: AdapterSource | undefined;
  /** Several adapters by names of yours; the first is in use, and `useAdapter` takes another. Default: none. */
  readonly adapters?: Readonly<Record<string, AdapterSource>> | undefined;
  /** Whether an adapter is only put on the weights that it was trained on, by their SHA-256. Default true. */
  readonly baseCheck?: boolean | undefined;
  /**
   * Whether matrices stay in the blocks of 4 to 8 bits that a GGUF file has: less memory, and faster; products then round activations to
   * 8 bits. Default true.
   */
  readonly keepBlocks?: boolean | undefined;
}

/** A run, in the form of `train`'s options. */
export interface TrainRequest extends Omit<TrainOptions, "signal" | "onNotice" | keyof HandOut> {
  /** The callback with which the caller takes its checkpoints. */
  readonly handedTo: keyof HandOut | null;
}

serveWorker({
  ...modelMethods(
    async ({ checkpoint, ...options }: LoadRequest, { onProgress, onOpened }) => ({
      lm: await loadOpened(checkpoint, { ...options, onProgress }, onOpened),
      draft: null,
    }),
    async () => ({ evaluateCorpus, evaluateChoices }),
  ),

  train: ({ handedTo, ...given }: TrainRequest, { signal, ask }: CallContext): AsyncGenerator<TrainEvent, void> => {
    const onNotice = (line: string): Promise<void> => ask("onNotice", line);
    return train({ ...given, signal, onNotice, ...handOutOf(handedTo, ask) });
  },
});
