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

/** A model to load, with the arguments of `loadPretrained`. */
export interface LoadRequest {
  readonly checkpoint: string | CheckpointFiles;
  /** The name of a backend. Default "auto". */
  readonly backend?: BackendChoice | undefined;
  /** Number of threads of the backend, 1 to 256. Default: all cores. */
  readonly threads?: number | undefined;
  /** Dtype of the backend: "float32" (default) for the most exact logits; "auto" for speed. */
  readonly dtype?: DTypeChoice | undefined;
  /**
   * Whether the model computes as in training. If so, the model can be trained and saved. With the run's dtype and its
   * training windows (`contextLength` of `evaluate`), its losses have the same bits as in the run. The weights are kept
   * in float32, with a bfloat16 copy for products in that dtype, which needs three times the memory. Float32 products
   * use tiles where the CPU has them, which is faster for many rows and slower for one row. A run with adapters in
   * bfloat16 has matrices that are only in bfloat16: for the losses of such a run, use false. Default false.
   */
  readonly asInTraining?: boolean | undefined;
  /**
   * Whether matrices stay in a GGUF file's blocks of 4 to 8 bits. This needs less memory and is faster; products then
   * round activations to 8 bits. Default true, but false with `asInTraining`.
   */
  readonly keepBlocks?: boolean | undefined;
  /** A LoRA adapter for the model: a folder, or its files. It is used under the name "default". Default: none. */
  readonly adapter?: string | AdapterFiles | undefined;
  /** Several adapters by name. The first is in use; `useAdapter` changes to another. Default: none. */
  readonly adapters?: Readonly<Record<string, string | AdapterFiles>> | undefined;
  /** The base model, if the checkpoint is an adapter's folder. Default: the model that the adapter names. */
  readonly base?: string | undefined;
  /** Whether to refuse an adapter on other weights than it was trained on, by their SHA-256. Default true. */
  readonly baseCheck?: boolean | undefined;
  /**
   * A smaller draft model with the same tokenizer, for texts with `speculate: "draft"`: its directory or its files.
   * Default: none.
   */
  readonly draft?: string | CheckpointFiles | undefined;
}

/** Loads the draft model on the main model's backend: with two backends, their threads would wait for each other. */
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
    // The module is imported only when needed, so that generation starts sooner.
    async () => {
      const { evaluateCorpus } = await import("../evaluate/evaluate-corpus.ts");
      const { evaluateChoices } = await import("../evaluate/choices.ts");
      return { evaluateCorpus, evaluateChoices };
    },
  ),
);
