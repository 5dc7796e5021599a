/** The module of a worker thread that loads models, generates with them and evaluates them. */
import type { BackendChoice } from "../backend/choices.node.ts";
import { serveThread } from "../core/remote/worker.node.ts";
import type { DTypeChoice } from "../core/tensors/dtype.ts";
import { checkDraftTokenizer } from "../generate/speculation/speculate.ts";
import type { AdapterFiles } from "../pretrained/adapter/opened.ts";
import type { CheckpointFiles } from "../pretrained/files/names.ts";
import { loadOpened } from "../pretrained/load.node.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { modelMethods } from "./model-methods.ts";

/** A model to load, with the arguments of `loadPretrained`. */
export interface LoadRequest {
  readonly checkpoint: string | CheckpointFiles;
  /** Name of the backend. Default "auto". */
  readonly backend?: BackendChoice | undefined;
  /** Number of threads of the backend, from 1 to 256. Default: all cores. */
  readonly threads?: number | undefined;
  /** Dtype of the backend. "float32" (default) gives the most exact logits; "auto" is for speed. */
  readonly dtype?: DTypeChoice | undefined;
  /**
   * Whether the model computes exactly as in training. Such a model can be trained and saved. The losses have the same
   * bits as in the run, if the dtype and the training windows (`contextLength` of `evaluate`) are the same. The weights
   * are stored in float32. For bfloat16 products, there is a copy in bfloat16, so the model needs three times the
   * memory. Float32 products use tiles if the CPU has tiles, which is faster for many rows and slower for one row. A
   * run that trains adapters with dtype bfloat16 has matrices only in bfloat16. For the losses of such a run, use
   * false. Default false.
   */
  readonly asInTraining?: boolean | undefined;
  /**
   * Whether matrices stay in the blocks of 4 to 8 bits of a GGUF file. Blocks need less memory and are faster, but
   * products round activations to 8 bits. Default true, but false with `asInTraining`.
   */
  readonly keepBlocks?: boolean | undefined;
  /**
   * A LoRA adapter for the model: a folder, or its files. The adapter gets the name "default". By default, the model
   * has no adapter.
   */
  readonly adapter?: string | AdapterFiles | undefined;
  /** Several adapters by name. The first adapter is in use; `useAdapter` changes to another adapter. Default: none. */
  readonly adapters?: Readonly<Record<string, string | AdapterFiles>> | undefined;
  /** The base model. Used if the checkpoint is the folder of an adapter. Default: the model that the adapter names. */
  readonly base?: string | undefined;
  /**
   * Whether to refuse an adapter that was trained on other weights. The SHA-256 of the weights is compared. Default
   * true.
   */
  readonly baseCheck?: boolean | undefined;
  /**
   * A smaller draft model with the same tokenizer, for texts with `speculate: "draft"`. The draft model is given by its
   * directory or its files. Default: none.
   */
  readonly draft?: string | CheckpointFiles | undefined;
}

/**
 * Loads the draft model on the main model's backend. If there were two backends, their threads would wait for each
 * other.
 */
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
    // The module is imported only when it is needed, so that generation starts sooner.
    async () => {
      const { evaluateCorpus } = await import("../evaluate/evaluate-corpus.ts");
      const { evaluateChoices } = await import("../evaluate/choices.ts");
      return { evaluateCorpus, evaluateChoices };
    },
  ),
);
