/** The module of a worker thread that holds models, generates with them and evaluates them. */
import type { BackendChoice } from "../backend/select.node.ts";
import { serveThread } from "../core/remote/worker.node.ts";
import type { DTypeChoice } from "../core/tensors/dtype.ts";
import { checkDraftTokenizer } from "../generate/speculation/speculate.ts";
import type { AdapterFiles } from "../pretrained/adapter/load.ts";
import type { CheckpointFiles } from "../pretrained/files/checkpoint-files.ts";
import { loadOpened } from "../pretrained/load.node.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { modelMethods } from "./model-methods.ts";

/** A model to load, in the form of `loadPretrained`'s arguments. */
export interface LoadRequest {
  readonly checkpoint: string | CheckpointFiles;
  /** The name of a backend. Default "auto". */
  readonly backend?: BackendChoice | undefined;
  /** Threads of the backend, 1 to 256; default: all cores. */
  readonly threads?: number | undefined;
  /** Dtype of the backend: float32, the default, for logits to the last digit; auto for speed. */
  readonly dtype?: DTypeChoice | undefined;
  /**
   * Whether the model computes as it does in training. In the run's dtype, and in the windows of its training
   * (`contextLength` of `evaluate`), losses are then to the bit those of its run, and it can be trained and saved. Weights
   * stay in float32 beside the bfloat16 that products take, which is three times the memory; and products of float32 go by
   * tiles where the CPU has them, which is faster for many rows and slower for one. Adapters train in bfloat16 beside
   * matrices that are bfloat16 alone: false gives the losses of such a run. Default false.
   */
  readonly asInTraining?: boolean | undefined;
  /**
   * Whether matrices stay in the blocks of 4 to 8 bits that a GGUF file has: less memory, and faster; products then round activations to
   * 8 bits. Default true, but false for a model that is loaded `asInTraining`.
   */
  readonly keepBlocks?: boolean | undefined;
  /** A LoRA adapter for the model, which is then in use as "default": a folder, or its files. Default: none. */
  readonly adapter?: string | AdapterFiles | undefined;
  /** Several adapters by names of yours; the first is in use, and `useAdapter` takes another. Default: none. */
  readonly adapters?: Readonly<Record<string, string | AdapterFiles>> | undefined;
  /** The model, where the checkpoint is an adapter's folder. Default: the one that the adapter names. */
  readonly base?: string | undefined;
  /** Whether an adapter is only put on the weights that it was trained on, by their SHA-256. Default true. */
  readonly baseCheck?: boolean | undefined;
  /**
   * Another model with the same tokenizer, smaller than this one, that guesses for texts with `speculate: "draft"`: its directory or its
   * files. Default: none.
   */
  readonly draft?: string | CheckpointFiles | undefined;
}

/** The model that guesses, in the memory of the model that writes: threads of two backends would wait for each other. */
const loadDraft = async (lm: LanguageModel, draft: string | CheckpointFiles): Promise<LanguageModel> => {
  const loaded = await loadOpened(draft, { backend: lm.model.backend }, () => {}, true);
  try {
    checkDraftTokenizer("loadInWorker: draft", lm.tokenizer, loaded.tokenizer);
    return loaded;
  } catch (error) {
    await loaded.close();
    throw error;
  }
};

serveThread(
  modelMethods(
    async ({ checkpoint, draft, ...options }: LoadRequest, { onNotice, onProgress, onOpened }) => {
      const lm = await loadOpened(checkpoint, { ...options, onNotice, onProgress }, onOpened);
      try {
        return { lm, draft: draft === undefined ? null : await loadDraft(lm, draft) };
      } catch (error) {
        await lm.close();
        throw error;
      }
    },
    // Loaded when needed: generation begins sooner without.
    async () => {
      const { evaluateCorpus } = await import("../evaluate/evaluate-corpus.ts");
      const { evaluateChoices } = await import("../evaluate/choices.ts");
      return { evaluateCorpus, evaluateChoices };
    },
  ),
);
