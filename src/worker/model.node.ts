import { type Advise, adviseOnce } from "../backend/advise.node.ts";
import { backendChoices } from "../backend/choices.node.ts";
import { checkBoolean, checkChoice, checkKeys, checkName, checkNumber } from "../core/checks/check-arguments.ts";
import { isRecord } from "../core/checks/is-record.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { takeThread } from "../core/remote/worker.node.ts";
import { show } from "../core/text/show.ts";
import type { GivenDocument } from "../data/parse-document.ts";
import type { Evaluation } from "../evaluate/evaluate.ts";
import type { MeasuredCorpus, MeasuredText, Measuring } from "../evaluate/evaluate-corpus.ts";
import { checkLoad } from "../pretrained/check-load.ts";
import { type CheckpointFiles, neededFiles } from "../pretrained/files/names.ts";
import { wholeText } from "../pretrained/model/whole-text.ts";
import { unknownChoices } from "../tokenizer/unknown.ts";
import { workerEntries } from "./entries.node.ts";
import { checkLoadInWorker, type LoadedInThread, loadIn, type ThreadModel } from "./model.ts";
import type { LoadRequest } from "./model-entry.node.ts";

/** A model in its own thread. The calling thread stays free while the model computes. */
export interface WorkerModel extends ThreadModel {
  /**
   * Computes the cross-entropy on a text, like the library's `evaluate`.
   * @param measured a text as `{ text }`, documents as `{ documents }`, or a corpus of `loadCorpus`. A text or
   * documents may be given with `signal` and `onProgress`.
   * @param options options for a corpus of `loadCorpus`.
   */
  evaluate(measured: MeasuredCorpus | MeasuredText | GivenToMeasure, options?: Measuring): Promise<Evaluation>;
}

/** Options of `loadInWorker`. */
export interface WorkerLoadOptions extends Omit<LoadRequest, "checkpoint"> {
  /**
   * Receives a notice of one line for the user, for example that the files cannot be checked, or that native kernels
   * are missing. If it returns a promise, loading waits for the promise.
   */
  readonly onNotice?: ((line: string) => void) | undefined;
  /**
   * Called a few times per second with the number of bytes of the weights read so far, and the number of all bytes.
   * Default: none.
   */
  readonly onProgress?: ((bytes: number, all: number) => void) | undefined;
}

const isText = (value: unknown): value is MeasuredText => isRecord(value) && value.text !== undefined;

/** Documents for an evaluation, and the options of the evaluation. All documents are used. */
export interface GivenToMeasure extends Omit<Measuring, "split"> {
  /**
   * Documents in the form for `train`. In a conversation, the loss counts the answers; in a plain text, it counts all
   * tokens.
   */
  readonly documents: readonly GivenDocument[];
}

const isGivenDocuments = (value: unknown): value is GivenToMeasure => isRecord(value) && Array.isArray(value.documents);

const isEncoded = (value: unknown): boolean =>
  isRecord(value) &&
  value.ids instanceof Int32Array &&
  value.counted instanceof Uint8Array &&
  value.starts instanceof Int32Array;

const checkCorpus: (where: string, value: unknown) => asserts value is MeasuredCorpus = (where, value) => {
  const { train, val, parts, documents } = (value ?? {}) as Partial<Record<string, unknown>>;
  if (isEncoded(documents)) return;
  if (typeof train === "string" && typeof val === "string" && Array.isArray(parts)) return;
  throw new ConfigError({
    where,
    must: "must be a text from loadCorpus",
    got: show(value),
    hint: "await loadCorpus(path)",
  });
};

/**
 * Waits for a loading model and for the advice on backends. If both fail, the error of the advice is thrown, because it
 * is about a setting of the user.
 */
const loadedAndAdvised = async (loading: Promise<LoadedInThread>, advised: Promise<void>): Promise<LoadedInThread> => {
  const [advice, loaded] = await Promise.allSettled([advised, loading]);
  if (advice.status === "rejected") {
    if (loaded.status === "fulfilled") await loaded.value.model.close();
    throw advice.reason;
  }
  if (loaded.status === "rejected") throw loaded.reason;
  return loaded.value;
};

/**
 * Does the same as `loadInWorker`.
 * @param advise tells the user how to get native kernels, while the thread loads the model.
 */
export const loadAdvised = async (
  checkpoint: string | CheckpointFiles,
  options: WorkerLoadOptions,
  advise: Advise,
): Promise<WorkerModel> => {
  checkLoadInWorker(options, backendChoices);
  const { draft, ...own } = options;
  checkLoad(checkpoint, own, false, "loadInWorker");
  if (draft !== undefined) checkLoad(draft, {}, false, "loadInWorker: draft");
  const { onNotice, onProgress, ...sent } = own;
  if (sent.threads !== undefined) checkNumber("loadInWorker: threads", sent.threads);
  if (sent.dtype !== undefined) checkName("loadInWorker: dtype", sent.dtype);
  if (sent.asInTraining !== undefined) checkBoolean("loadInWorker: asInTraining", sent.asInTraining);
  if (sent.keepBlocks !== undefined) checkBoolean("loadInWorker: keepBlocks", sent.keepBlocks);
  if (sent.base !== undefined) checkName("loadInWorker: base", sent.base);
  let advised = Promise.resolve();
  const callbacks = {
    onNotice: async (line: string) => {
      // The advice comes first.
      await advised;
      await onNotice?.(line);
    },
    onProgress: (bytes: number, all: number) => onProgress?.(bytes, all),
  };
  const thread = takeThread(workerEntries.model);
  const isPath = typeof checkpoint === "string";
  const [wanted, where] = isPath ? [checkpoint, checkpoint] : [neededFiles(checkpoint), "checkpoint"];
  const sentDraft = draft === undefined || typeof draft === "string" ? draft : neededFiles(draft);
  // The thread gets its request before this thread looks for advice, which needs more modules.
  const loading = loadIn(thread, { checkpoint: wanted, draft: sentDraft, ...sent }, where, callbacks);
  advised = advise(sent.backend, onNotice);
  const { model, evaluate } = await loadedAndAdvised(loading, advised);
  return Object.assign(model, {
    evaluate: async (corpus: MeasuredCorpus | MeasuredText, measuring: Measuring = {}) => {
      if (isText(corpus)) return evaluate(...wholeText(corpus));
      if (isGivenDocuments(corpus)) {
        checkKeys("evaluate", corpus, ["documents", "unknown", "contextLength", "signal", "onProgress"]);
        const { documents, unknown, ...rest } = corpus;
        // The modules are imported only here, because a model that only generates text does not need them.
        const { locatedDocuments } = await import("../data/given-documents.ts");
        const { measuredDocuments } = await import("../evaluate/documents.ts");
        const { writeConversations } = await import("../chat/template.node.ts");
        const given = { name: "documents", train: [], val: locatedDocuments(documents, "documents") };
        return evaluate(await measuredDocuments(model, given, "all", unknown, writeConversations), rest);
      }
      checkCorpus("evaluate: corpus", corpus);
      checkKeys("evaluate", measuring, ["split", "unknown", "contextLength", "windows", "signal", "onProgress"]);
      if (measuring.split !== undefined) checkName("evaluate: split", measuring.split);
      checkChoice("evaluate: unknown", measuring.unknown, unknownChoices);
      return evaluate(corpus, measuring);
    },
  });
};

/**
 * Loads a language model in its own thread. The results have the same bits as with `loadPretrained`.
 * @param checkpoint a run's folder, the checkpoint's directory, or its files (they are copied).
 * @param options the name of a backend, threads, dtype, adapters.
 * @throws the errors of `loadPretrained`.
 * @example
 * ```ts
 * import { loadInWorker } from "foretoken";
 *
 * const lm = await loadInWorker("runs/notes/best");
 * for await (const event of lm.generate({ prompt: "The " })) {
 *   if (event.type === "token") process.stdout.write(event.text);
 * }
 * console.log(await lm.evaluate({ text: "The end." }));
 * await lm.close();
 * ```
 */
export const loadInWorker = (
  checkpoint: string | CheckpointFiles,
  options: WorkerLoadOptions = {},
): Promise<WorkerModel> => loadAdvised(checkpoint, options, adviseOnce);
