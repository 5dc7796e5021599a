/** The module of the workers of a page. A worker trains, or it loads models, generates with them and evaluates them. */
import type { BackendChoice } from "../backend/select.browser.ts";
import type { CallContext } from "../core/remote/server.ts";
import { serveWorker } from "../core/remote/worker.browser.ts";
import { evaluateChoices } from "../evaluate/choices.ts";
import { evaluateCorpus } from "../evaluate/evaluate-corpus.ts";
import type { CheckpointFiles } from "../pretrained/files/names.ts";
import { type AdapterSource, loadOpened } from "../pretrained/load.browser.ts";
import type { TrainEvent } from "../runs/events.ts";
import type { HandOut } from "../train/run/callbacks.ts";
import { type TrainOptions, train } from "../train/train.browser.ts";
import { modelMethods } from "./model-methods.ts";
import { handOutOf } from "./train.ts";

/** A model to load, with the arguments of `loadPretrained`. */
export interface LoadRequest {
  /** Complete address of the model. The base address of a worker may differ from the base address of its page. */
  readonly checkpoint: string | CheckpointFiles;
  /** Name of the backend. Default "wasm". */
  readonly backend?: BackendChoice | undefined;
  /** Number of threads of the backend, from 1 to 256. Default: all cores. */
  readonly threads?: number | undefined;
  /**
   * A LoRA adapter for the model: the address of its folder, or its files. The adapter gets the name "default". By
   * default, the model has no adapter.
   */
  readonly adapter?: AdapterSource | undefined;
  /** Several adapters by name. The first adapter is in use; `useAdapter` changes to another adapter. Default: none. */
  readonly adapters?: Readonly<Record<string, AdapterSource>> | undefined;
  /**
   * Whether to refuse an adapter that was trained on other weights. The SHA-256 of the weights is compared. Default
   * true.
   */
  readonly baseCheck?: boolean | undefined;
  /**
   * Whether matrices stay in the blocks of 4 to 8 bits of a GGUF file. Blocks need less memory and are faster, but
   * products round activations to 8 bits. Default true.
   */
  readonly keepBlocks?: boolean | undefined;
}

/** A run, with the options of `train`. */
export interface TrainRequest extends Omit<TrainOptions, "signal" | "onNotice" | keyof HandOut> {
  /** The callback that receives checkpoints. Null if there is no callback. */
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
