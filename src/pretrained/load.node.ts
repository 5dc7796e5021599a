import { adviseOnce } from "../backend/advise.node.ts";
import type { Backend } from "../backend/backend.ts";
import type { BackendChoice } from "../backend/choices.node.ts";
import { openBackend } from "../backend/select.node.ts";
import { checkBoolean, checkName } from "../core/checks/check-arguments.ts";
import type { DTypeChoice } from "../core/tensors/dtype.ts";
import { checkBase } from "./adapter/base/check.ts";
import {
  type AdapterFiles,
  askedAdapters,
  closeAdapters,
  defaultAdapter,
  type OpenedAdapter,
  type OpenedAdapters,
  openAll,
} from "./adapter/opened.ts";
import { namesAdapter } from "./adapter/place.node.ts";
import { withAdapterText } from "./adapter/text.ts";
import { checkLoad } from "./check-load.ts";
import type { CheckpointFiles } from "./files/names.ts";
import { placeLanguageModel } from "./files/place.ts";
import { type CollectedPretrained, collectWeights, type Keeping } from "./files/weights.ts";
import type { LanguageModel } from "./model/language-model.ts";
import { modelPlace, noticeUnchecked, noticeUncheckedAdapter, openPretrained, uncheckedNotice } from "./open.node.ts";
import type { PretrainedFacts } from "./parse.ts";
import type { Pretrained } from "./pretrained.ts";

/**
 * Reads a whole model into memory and compares the model's files with its manifest. Opens no backend.
 * @throws CheckpointError with the file and the problem.
 */
export const readPretrained = async (path: string): Promise<CollectedPretrained> =>
  collectWeights(await openPretrained(path));

/** Options of `loadPretrained`. */
export interface LoadOptions {
  /**
   * A backend that you opened, or the name of a backend. You close your own backend. A backend that is opened by name
   * is closed with the model. Default: "auto".
   */
  readonly backend?: Backend | BackendChoice | undefined;
  /** Number of threads of a backend that is opened by name. Beside an open backend, it is refused. Default: all cores. */
  readonly threads?: number | undefined;
  /**
   * Number format of a backend that is opened by name. "float32" gives exact logits; "auto" chooses a fast format. If
   * the backend multiplies bfloat16 matrices, the model keeps its matrices only in bfloat16. A model in bfloat16 takes
   * half the memory, but it cannot be trained or saved (see `asInTraining`). On a backend that you pass, weights are
   * float32. Default: "float32".
   */
  readonly dtype?: DTypeChoice | undefined;
  /**
   * Whether the model computes exactly as in training. Losses then equal the run's losses bit for bit, if you use the
   * run's dtype and window length (`contextLength` of `evaluate`). The model can also be trained and saved. In
   * bfloat16, the weights are also kept in float32, which takes three times the memory. In float32, products use AMX
   * tiles if the CPU has them. AMX tiles are faster for many rows and slower for a single row. For an adapter of a base
   * model with only bfloat16 matrices, use false to get the losses of the adapter's run. The option applies to a
   * backend that is opened by name. On a backend that you pass, weights are always float32. Default: false.
   */
  readonly asInTraining?: boolean | undefined;
  /**
   * Whether quantized matrices of a GGUF file (4 to 8 bits) stay quantized in memory. Quantized matrices take much less
   * memory and are faster, but matrix products round activations to 8 bits. If false, the matrices are converted to the
   * dtype. Default: true, but false with `asInTraining`. On a backend that you pass, matrices are always converted, and
   * true is refused.
   */
  readonly keepBlocks?: boolean | undefined;
  /**
   * A LoRA adapter for the model: its files, a folder that PEFT wrote, or a run's folder. After loading, the adapter is in use
   * and has the name "default". Default: none.
   */
  readonly adapter?: string | AdapterFiles | undefined;
  /**
   * Several adapters, by names that you choose. The first adapter is in use. `useAdapter` switches to another adapter.
   * Default: none.
   */
  readonly adapters?: Readonly<Record<string, string | AdapterFiles>> | undefined;
  /** The base model, if the checkpoint is an adapter's folder. Default: the model that the adapter names. */
  readonly base?: string | undefined;
  /**
   * Whether the model must have the weights that the adapter was trained on. Adapters that Foretoken wrote contain the
   * SHA-256 of these weights, except GGUF files. If true, other weights are refused. If false, or if the adapter contains
   * no SHA-256, any weights of the right shapes are accepted, for example a quantized version of the model. Default:
   * true.
   */
  readonly baseCheck?: boolean | undefined;
  /**
   * Gets one line for the user, for example in these three cases. A directory has no manifest, so nobody would notice
   * damage. An adapter's base model was found in another place than the adapter names. Native kernels are missing (one
   * line per thread). If the function returns a promise, the promise is awaited.
   */
  readonly onNotice?: ((line: string) => void) | undefined;
  /**
   * Gets the number of bytes of weights read so far and the total. For a model of the hub, the function first gets the
   * number of downloaded bytes and the total of the download. Default: none.
   */
  readonly onProgress?: ((bytes: number, all: number) => void) | undefined;
}

// Most models are given by a path and have no adapter, so the code for other models is imported only when it is needed.
const loadBase = () => import("./adapter/base/open.node.ts");
const loadFiles = () => import("./files/checkpoint-files.ts");

const openAdapter = async (source: string | AdapterFiles, name: string): Promise<OpenedAdapter> =>
  typeof source === "string"
    ? (await import("./adapter/open.node.ts")).openAdapter(await modelPlace(source))
    : (await import("./adapter/load.ts")).openAdapterFiles(source, name);

/** Opens a model from its path, its name or its files. */
const openModel = async (
  checkpoint: string | CheckpointFiles,
  { onNotice, onProgress }: LoadOptions,
): Promise<Pretrained> => {
  if (typeof checkpoint === "string") {
    const opened = await openPretrained(checkpoint, { onNotice, onDownload: onProgress });
    await noticeUnchecked(opened, checkpoint, onNotice);
    return opened;
  }
  const opened = await (await loadFiles()).parseFiles(checkpoint);
  if (!opened.checked) await onNotice?.(uncheckedNotice(opened.where));
  return opened;
};

/** Opens a model and checks that the adapters were trained on it. */
const openUnder = async (
  adapters: OpenedAdapters,
  checkpoint: string | CheckpointFiles,
  options: LoadOptions,
): Promise<Pretrained> => {
  const opened = await openModel(checkpoint, options);
  try {
    if (options.baseCheck !== false)
      await checkBase(opened, adapters, async (adapter) => (await loadBase()).wayToBase(adapter));
    return opened;
  } catch (error) {
    await opened.weights.close();
    throw error;
  }
};

/** Opens the model and its adapters. */
const openAny = async (named: string | CheckpointFiles, options: LoadOptions) => {
  const checkpoint = typeof named === "string" ? await modelPlace(named) : named;
  const own = await namesAdapter(checkpoint, options);
  const asked = own ? [[defaultAdapter, checkpoint as string] as const] : askedAdapters(options);
  const adapters = await openAll(asked, async (source, name) => {
    const opened = await openAdapter(source, name);
    await noticeUncheckedAdapter(opened, options.onNotice);
    return opened;
  });
  try {
    const adapter = own ? adapters.get(defaultAdapter) : undefined;
    const opened =
      adapter === undefined
        ? await openUnder(adapters, checkpoint, options)
        : await (await loadBase()).openBase(adapter, options);
    return { pretrained: withAdapterText(opened, adapters.get(defaultAdapter)?.text), adapters };
  } catch (error) {
    await closeAdapters(adapters);
    throw error;
  }
};

/**
 * The same as `loadPretrained`, without the argument checks.
 * @param onOpened gets the model's facts before its weights are read.
 */
export const loadOpened = async (
  checkpoint: string | CheckpointFiles,
  options: LoadOptions,
  onOpened: (facts: PretrainedFacts) => void,
  freezes = false,
): Promise<LanguageModel> => {
  const { pretrained, adapters } = await openAny(checkpoint, options);
  const { backend = "auto", threads, dtype, asInTraining = false, keepBlocks = !asInTraining, onProgress } = options;
  const { weights } = pretrained;
  onOpened(pretrained);
  const place = (opened: Backend, keeping: Keeping, onClose?: () => Promise<void>) =>
    placeLanguageModel(opened, pretrained, adapters, {
      ...keeping,
      onClose,
      onProgress: onProgress && ((bytes) => onProgress(bytes, weights.bytes)),
    });
  if (typeof backend !== "string") return place(backend, { freeze: freezes, keepBlocks: freezes && keepBlocks });
  const opened = await openBackend(backend, { threads, dtype, manyRows: asInTraining }).catch(
    async (error: unknown) => {
      await Promise.all([weights.close(), closeAdapters(adapters)]);
      throw error;
    },
  );
  try {
    return await place(opened, { freeze: !asInTraining, keepBlocks }, () => opened.close());
  } catch (error) {
    await opened.close();
    throw error;
  }
};

/**
 * Loads a language model from a run's folder, from one of its checkpoints, from a Hugging Face directory (GPT-2, Llama,
 * Mistral, Qwen2, Qwen3 or Phi-3), from the hub, or from the files that `onCheckpoint` gets. From a run's folder, the
 * function loads the best weights, or the last weights if there are no best weights. For the folder of a LoRA adapter,
 * the function loads the base model with the adapter in use.
 * Weights are read into the backend's memory piece by piece. At the same time, the weights are compared with the
 * SHA-256 in `manifest.json`. A model without a manifest, for example from another program, is loaded unchecked.
 * `onNotice` then gets a line.
 * @param checkpoint a run's folder, the checkpoint's directory, `hf:org/name` or `hf:org/name@revision`, or its files as `onCheckpoint` gets them.
 * @param options backend, threads, dtype, adapters.
 * @throws CheckpointError for a missing or damaged model, or a model that would compute different results here.
 * @throws UnsupportedKernelError for a missing backend.
 * @example
 * ```ts
 * import { loadPretrained } from "foretoken";
 *
 * const lm = await loadPretrained("runs/notes/best", { backend: "auto" });
 * const { shape } = await lm.logits(lm.tokenizer.encode("The "));
 * const { tokens, mean } = await lm.score("The end.");
 * console.log(shape, mean, tokens.map(({ text, logProb }) => [text, logProb]));
 * await lm.close();
 * ```
 */
export const loadPretrained = async (
  checkpoint: string | CheckpointFiles,
  options: LoadOptions = {},
): Promise<LanguageModel> => {
  checkLoad(checkpoint, options);
  if (options.base !== undefined) checkName("loadPretrained: base", options.base);
  if (options.asInTraining !== undefined) checkBoolean("loadPretrained: asInTraining", options.asInTraining);
  if (options.keepBlocks !== undefined) checkBoolean("loadPretrained: keepBlocks", options.keepBlocks);
  await adviseOnce(options.backend, options.onNotice);
  return loadOpened(checkpoint, options, () => {});
};
