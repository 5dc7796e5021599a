import type { Backend } from "../backend/backend.ts";
import { adviseOnce } from "../backend/open.node.ts";
import { type BackendChoice, openBackend } from "../backend/select.node.ts";
import { checkBoolean, checkName } from "../core/checks/check-arguments.ts";
import type { DTypeChoice } from "../core/tensors/dtype.ts";
import { checkBase } from "./adapter/base/check.ts";
import { openBase, wayToBase } from "./adapter/base/open.node.ts";
import {
  type AdapterFiles,
  askedAdapters,
  closeAdapters,
  defaultAdapter,
  type OpenedAdapters,
  openAdapterFiles,
  openAll,
} from "./adapter/load.ts";
import { namesAdapter, openAdapter } from "./adapter/open.node.ts";
import { withAdapterText } from "./adapter/text.ts";
import { checkLoad } from "./check-load.ts";
import { type CheckpointFiles, parseFiles } from "./files/checkpoint-files.ts";
import { placeLanguageModel } from "./files/place.ts";
import { type CollectedPretrained, collectWeights, type Keeping } from "./files/weights.ts";
import type { LanguageModel } from "./model/language-model.ts";
import { noticeUnchecked, noticeUncheckedAdapter, openPretrained, uncheckedNotice } from "./open.node.ts";
import type { PretrainedFacts } from "./parse.ts";
import type { Pretrained } from "./pretrained.ts";

/**
 * Reads a whole model and compares its files with its manifest, without opening a backend.
 * @throws CheckpointError naming the file and its fault.
 */
export const readPretrained = async (path: string): Promise<CollectedPretrained> =>
  collectWeights(await openPretrained(path));

/** Options of `loadPretrained`. */
export interface LoadOptions {
  /** An opened backend (yours to close), or the name of one (closed with the model). Default "auto". */
  readonly backend?: Backend | BackendChoice | undefined;
  /** Threads of a backend opened here; default: all cores. */
  readonly threads?: number | undefined;
  /**
   * Dtype of a backend opened here: float32, the default, for logits to the last digit; auto for speed. Where products
   * multiply bfloat16, such a model has bfloat16 matrices alone, unless it is loaded `asInTraining`: half the memory, but it
   * cannot be trained or saved. On a backend of yours weights are float32.
   */
  readonly dtype?: DTypeChoice | undefined;
  /**
   * Whether the model computes as it does in training. In the run's dtype, and in the windows of its training
   * (`contextLength` of `evaluate`), losses are then to the bit those of its run, and it can be trained and saved. Weights
   * stay in float32 beside the bfloat16 that products take, which is three times the memory; and products of float32 go by
   * tiles where the CPU has them, which is faster for many rows and slower for one. Adapters train in bfloat16 beside
   * matrices that are bfloat16 alone: false gives the losses of such a run. Default false. For a backend opened here: on
   * one of yours weights are float32 in any case.
   */
  readonly asInTraining?: boolean | undefined;
  /**
   * Whether matrices stay in the blocks of 4 to 8 bits that a GGUF file has: a fraction of the memory, and faster for it. Products then
   * round the activations that they multiply to 8 bits. false: they are widened to the dtype. Default true, but false for a model that
   * is loaded `asInTraining`; on a backend of yours they are widened in any case.
   */
  readonly keepBlocks?: boolean | undefined;
  /**
   * A LoRA adapter for the model, which is then in use as "default": a folder that PEFT or a run wrote, or its files. Default:
   * none.
   */
  readonly adapter?: string | AdapterFiles | undefined;
  /** Several adapters by names of yours; the first is in use, and `useAdapter` takes another. Default: none. */
  readonly adapters?: Readonly<Record<string, string | AdapterFiles>> | undefined;
  /** The model, where the checkpoint is an adapter's folder. Default: the one that the adapter names. */
  readonly base?: string | undefined;
  /**
   * Whether an adapter is only put on the weights that it was trained on: adapters of this version have their SHA-256, and
   * other weights are refused. false takes any that fit, such as the same model quantized. Default true.
   */
  readonly baseCheck?: boolean | undefined;
  /**
   * Gets one line for the user: that a directory has no manifest, so that damage would not be noticed; or where the weights of an
   * adapter's model were found, if not in the place that it names; or, once in each thread, how to get native kernels that are
   * missing. A promise is waited for.
   */
  readonly onNotice?: ((line: string) => void) | undefined;
  /**
   * Gets the bytes of the weights read so far, and in all; of a model of the hub that is fetched, first those of its files.
   * Default: none.
   */
  readonly onProgress?: ((bytes: number, all: number) => void) | undefined;
}

/** A model's place, or its files. */
const openModel = async (
  checkpoint: string | CheckpointFiles,
  { onNotice, onProgress }: LoadOptions,
): Promise<Pretrained> => {
  if (typeof checkpoint === "string") {
    const opened = await openPretrained(checkpoint, { onNotice, onDownload: onProgress });
    await noticeUnchecked(opened, checkpoint, onNotice);
    return opened;
  }
  const opened = await parseFiles(checkpoint);
  if (!opened.checked) await onNotice?.(uncheckedNotice(opened.where));
  return opened;
};

/** A model that adapters are put on. */
const openUnder = async (
  adapters: OpenedAdapters,
  checkpoint: string | CheckpointFiles,
  options: LoadOptions,
): Promise<Pretrained> => {
  const opened = await openModel(checkpoint, options);
  try {
    if (options.baseCheck !== false) await checkBase(opened, adapters, wayToBase);
    return opened;
  } catch (error) {
    await opened.weights.close();
    throw error;
  }
};

/** The model, and its adapters. */
const openAny = async (checkpoint: string | CheckpointFiles, options: LoadOptions) => {
  const own = await namesAdapter(checkpoint, options);
  const asked = own ? [[defaultAdapter, checkpoint as string] as const] : askedAdapters(options);
  const adapters = await openAll(asked, async (source, name) => {
    const opened = await (typeof source === "string" ? openAdapter(source) : openAdapterFiles(source, name));
    await noticeUncheckedAdapter(opened, options.onNotice);
    return opened;
  });
  try {
    const adapter = own ? adapters.get(defaultAdapter) : undefined;
    const opened =
      adapter === undefined ? await openUnder(adapters, checkpoint, options) : await openBase(adapter, options);
    return { pretrained: withAdapterText(opened, adapters.get(defaultAdapter)?.text), adapters };
  } catch (error) {
    await closeAdapters(adapters);
    throw error;
  }
};

/**
 * `loadPretrained`, whose arguments are checked.
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
 * A language model from a directory: a checkpoint's, or one of Hugging Face's with a model of GPT-2, Llama, Mistral, Qwen2,
 * Qwen3 or Phi-3; from the hub; or from its files as `onCheckpoint` gets them. Weights are read piece by piece into the
 * backend's memory and compared with the SHA-256 in `manifest.json` meanwhile; a model without one, such as another
 * program's, loads unchecked, and `onNotice` says so.
 * The folder of a LoRA adapter stands for its model with the adapter in use.
 * @param checkpoint its directory, `hf:org/name` or `hf:org/name@revision`, or its files as `onCheckpoint` gets them.
 * @param options backend, threads, dtype, adapters.
 * @throws CheckpointError for a missing or damaged model, or one that would give other results here;
 *   UnsupportedKernelError for a missing backend.
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
