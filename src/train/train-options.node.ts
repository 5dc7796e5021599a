/** Options of `train` in Node. */
import type { Backend } from "../backend/backend.ts";
import type { BackendChoice } from "../backend/choices.node.ts";
import type { RunConfig } from "../config/config.ts";
import type { PartialConfig } from "../config/merge.ts";
import type { PresetName } from "../config/presets.ts";
import type { GivenDocument } from "../data/parse-document.ts";
import type { ExtendKind } from "../optim/config.ts";
import type { OnAdapter, OnCheckpoint } from "./run/callbacks.ts";

/** Options for both new and resumed runs. Options of the computation do not change results. */
export interface Running {
  // These options are declared once for both kinds of run, because an editor shows no docstring for an option that is
  // declared twice.
  /**
   * What to train on: the name of a corpus, a UTF-8 text file, a folder of text files, a `.jsonl` file of documents, or
   * a folder with only such files. Default: Tiny Shakespeare, or Moby-Dick if offline. For a resumed run: the new place
   * of the run's text, if the text was moved; its content must be unchanged. By default, a resumed run reads the text
   * from the place at which the run began.
   */
  readonly data?: string | undefined;
  /**
   * What to validate on: the name or path of a text, or of documents. Default: the last `valFraction` of the text. For
   * a resumed run: the new place of the run's validation text.
   */
  readonly valData?: string | undefined;
  /**
   * Models to learn from, in addition to the text: a run's folder (its best weights are used), a checkpoint's
   * directory, a `.gguf` file or `hf:org/name`; several models as a list. The run learns from the average of their
   * probabilities, as `config.train.teacher` says. Their tokenizer must be the run's; without `initFrom`, the run uses
   * the tokenizer of the first one. For a resumed run: the new places of all its teachers, in the same order, if they
   * were moved; the models must be unchanged. By default, a resumed run opens the models in their original places.
   */
  readonly teacher?: string | readonly string[] | undefined;
  /** An opened backend, which the caller closes, or the name of a backend. Default "auto". */
  readonly backend?: Backend | BackendChoice;
  /** Number of threads, if the backend is given by name. Default: all cores. */
  readonly threads?: number | undefined;
  /** Stops after this many updates, as an abort of `signal` would. The learning-rate schedule is not shortened. */
  readonly stopAt?: number | undefined;
  /**
   * Number of checkpoints to keep, including the last one; at least 1. Default 1; a resumed run keeps as many as it
   * began with.
   */
  readonly keepLast?: number | undefined;
  /** Times the kernels, for a `profile` event before `done`. */
  readonly profile?: boolean | undefined;
  /**
   * Memory that this process can use in total, in bytes, including the memory that it uses already. A run that needs
   * more is refused before anything is allocated or written. Default: the free memory, within the container's limit.
   */
  readonly availableMemory?: number | undefined;
  /** Whether to refuse a run that needs more memory than is available. Default true. */
  readonly memoryCheck?: boolean | undefined;
  /** Abort it to save and stop. */
  readonly signal?: AbortSignal;
  /**
   * Whether this process is one of several ranks that `mpirun` started, all with equal options. The ranks train one
   * model; only rank 0 writes files and calls the callbacks. Needs the MPI addon. Default false; the command `train`
   * detects it.
   */
  readonly mpi?: boolean | undefined;
  /**
   * Gets a notice of one line for the user, for example that another text is used, or how to get missing native
   * kernels. Training waits for a returned promise.
   */
  readonly onNotice?: (line: string) => void;
  /**
   * Gets the model's files, in the form that `loadPretrained` reads: "last" at each checkpoint and at the end, "best"
   * after each evaluation with a new lowest validation loss; with `train.average`, also "averaged" after each evaluation
   * in which the averaged weights have a new lowest loss. Files of "last" also work for `resume` in a page: they add
   * the optimizer's state and the run's events, and are three times as large. Training waits for a returned promise. If
   * the run has a folder, the checkpoint is already written there.
   */
  readonly onCheckpoint?: OnCheckpoint | undefined;
  /**
   * Like `onCheckpoint`, for a run with adapters (`config.lora`). It gets the adapter's files, which
   * `loadPretrained(model, { adapter })` reads.
   */
  readonly onAdapter?: OnAdapter | undefined;
}

/** Options of a new run. */
export interface NewRun extends Running {
  /** Must be left out: this option distinguishes a resumed run from a new one. */
  readonly resume?: undefined;
  /** The text itself, instead of `data`. A run's folder keeps it as `text.txt`. */
  readonly text?: string | undefined;
  /** The text to validate on, as a string, instead of `valData`. Only with `text`. */
  readonly valText?: string | undefined;
  /**
   * Documents to train on, instead of `data`. A document is a plain text or a conversation; in a conversation, the loss
   * counts only the answers. Attention never crosses from one document to another. A run's folder keeps the documents
   * as `documents.jsonl`.
   */
  readonly documents?: readonly GivenDocument[] | undefined;
  /** Documents to validate on, instead of `valFraction`. Only with `documents`. */
  readonly valDocuments?: readonly GivenDocument[] | undefined;
  /** Name of `text` or `documents` in events, lists and pages. Default: "text" or "documents". */
  readonly dataName?: string | undefined;
  /** A Jinja chat template for conversations. It replaces the model's own template, and the checkpoints keep it. */
  readonly chatTemplate?: string | undefined;
  /** Fraction of the data to validate on, in (0, 1): the end of a text, or documents drawn at random. Default 0.1. */
  readonly valFraction?: number | undefined;
  /**
   * Default: with a text of your own or `initFrom`, a configuration that follows from the size of the text; else
   * `defaultPreset`.
   */
  readonly preset?: PresetName | undefined;
  /**
   * Weights to start from: a run's folder (its best weights are used), or a checkpoint's directory. They determine the
   * model and the tokenizer. Of the model's fields, only `dropout` may be changed; with rotary position embeddings,
   * `contextLength` and `position.scaling` too. The text may only have characters that the tokenizer knows.
   */
  readonly initFrom?: string | undefined;
  /**
   * Whether the matrices of a GGUF file stay in blocks of 4 to 8 bits while adapters (`config.lora`) are trained. If
   * true, no other copy of the model is kept. Each product of a training step widens the matrix that it multiplies.
   * Evaluations and samples compute as the loaded model does, with 8-bit activations. If false, all matrices are
   * widened once, to the dtype. Default true.
   */
  readonly keepBlocks?: boolean | undefined;
  /**
   * Changes to fields of the preset, or of the configuration that follows from your own text, for example `{ model: {
   * nLayer: 6 }, train: { steps: 500 } }`.
   */
  readonly config?: PartialConfig<RunConfig>;
  /**
   * Folder of the run; it must be new or empty. If null, nothing is saved. With `text` or `documents` the default is
   * null, as in a page. Otherwise the default is `runs/<time>-<name of the text>`, with `-<preset>` if the preset is
   * not the default, and with a number if the name is taken.
   */
  readonly out?: string | null | undefined;
  /** Prompt of the samples. Default: a prompt that fits the text. */
  readonly prompt?: string | undefined;
  /** Number of tokens of the sample at the end; 0 for no sample. Default 400. */
  readonly finalSampleTokens?: number;
}

/** Options of a run that resumes from a checkpoint. */
export interface ResumedRunOptions extends Running {
  /**
   * A run's folder, or a checkpoint in it, such as `checkpoint-400`. With a folder, the run continues in place, from
   * its last checkpoint to its planned end. With a checkpoint, the run goes back to this checkpoint, and its last
   * checkpoint is set aside.
   */
  readonly resume: string;
  /**
   * The new total number of steps, including the steps already done. The run continues to it, even if the run has
   * ended. The run keeps this number when it is resumed again.
   */
  readonly steps?: number | undefined;
  /**
   * The learning rate with new `steps`. "stretch" (default): the schedule of a run with the new total number of steps.
   * "restart": the schedule of a new run with the added steps. With both, the rate moves to the new schedule over
   * `train.warmupSteps` steps. "constant": the last learning rate.
   */
  readonly extend?: ExtendKind | undefined;
  /** What to do at later steps that are not finite or explode. Default: as the run began. */
  readonly onNonfinite?: RunConfig["train"]["onNonfinite"] | undefined;
}

/** Options of `train`, to begin or to continue a run. */
export type TrainOptions = NewRun | ResumedRunOptions;
