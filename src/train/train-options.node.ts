/** Options of `train` in Node. */
import type { Backend } from "../backend/backend.ts";
import type { BackendChoice } from "../backend/select.node.ts";
import type { RunConfig } from "../config/config.ts";
import type { PartialConfig } from "../config/merge.ts";
import type { PresetName } from "../config/presets.ts";
import type { GivenDocument } from "../data/parse-document.ts";
import type { ExtendKind } from "../optim/config.ts";
import type { OnAdapter, OnCheckpoint } from "./run/callbacks.ts";

/** Options of new and of resumed runs. Those of a computation change no result. */
export interface Running {
  // Declared once for both: an editor shows no text for an option that has two.
  /**
   * Name of a corpus, a UTF-8 text file, or a folder of them; or documents: a file that ends in `.jsonl`, or a folder of such
   * files alone. Default: Tiny Shakespeare, offline Moby-Dick. Of a resumed run: the new place of its text, if it was moved,
   * which must be the same text; default: as the run began.
   */
  readonly data?: string | undefined;
  /**
   * Name or path of a text, or documents, to validate on; else the last `valFraction` of the text. Of a resumed run: the new
   * place of its validation text.
   */
  readonly valData?: string | undefined;
  /** An opened backend (yours to close), or the name of one. Default "auto". */
  readonly backend?: Backend | BackendChoice;
  /** Threads of a backend opened here; default: all cores. */
  readonly threads?: number | undefined;
  /** Stop after this many updates, as an abort of `signal` would; the schedule stays the whole run's. */
  readonly stopAt?: number | undefined;
  /** Checkpoints to keep, including the last one; at least 1. Default 1, or as the resumed run began. */
  readonly keepLast?: number | undefined;
  /** Time the kernels, for a `profile` event before `done`. */
  readonly profile?: boolean | undefined;
  /**
   * Bytes that this process can hold, including those it holds already: a run that needs more is refused before
   * anything is allocated or written. Default: the free memory, within the limit of the container.
   */
  readonly availableMemory?: number | undefined;
  /** false: a run that needs more than is available runs anyway. Default true. */
  readonly memoryCheck?: boolean | undefined;
  /** Abort to save and stop. */
  readonly signal?: AbortSignal;
  /**
   * true: this process is one of the ranks that `mpirun` has started, each with the same options, and they train one model:
   * rank 0 alone writes and hands out checkpoints. Needs the MPI addon. Default: false, but the command `train` finds out.
   */
  readonly mpi?: boolean | undefined;
  /**
   * Gets one line for the user, such as that another text is used, or how to get native kernels that are missing. A promise is
   * waited for.
   */
  readonly onNotice?: (line: string) => void;
  /**
   * Gets the model at each checkpoint, at the end at the latest ("last"), and whenever its validation loss is the
   * lowest so far ("best"), in the form for `loadPretrained`. The files of "last" are also those for `resume` in a page: they
   * have the optimizer's state and the run's notes, and three times the bytes. Training waits for the promise. A run with a
   * folder has written it there before.
   */
  readonly onCheckpoint?: OnCheckpoint | undefined;
  /**
   * The same for a run with adapters (`config.lora`): gets their files, in the form for `loadPretrained(model, { adapter })`.
   */
  readonly onAdapter?: OnAdapter | undefined;
}

/** A new run. */
export interface NewRun extends Running {
  /** Left out: it is what tells a resumed run from a new one. */
  readonly resume?: undefined;
  /** The text itself, instead of `data`. A run with a folder keeps it there, as `text.txt`. */
  readonly text?: string | undefined;
  /** A text to validate on itself, instead of `valData`; with `text` only. */
  readonly valText?: string | undefined;
  /**
   * Documents to learn from, instead of `data`: conversations, of which the loss counts the answers, and plain texts. They
   * do not see each other. A run with a folder keeps them there, as `documents.jsonl`.
   */
  readonly documents?: readonly GivenDocument[] | undefined;
  /** Documents to validate on, instead of `valFraction`; with `documents` only. */
  readonly valDocuments?: readonly GivenDocument[] | undefined;
  /** What `text` or `documents` are called in events, lists and pages. Default: "text" or "documents". */
  readonly dataName?: string | undefined;
  /** A chat template in Jinja for conversations, instead of the model's own, of which its checkpoints keep it. */
  readonly chatTemplate?: string | undefined;
  /** In (0, 1); default 0.1. Of documents so many are drawn; of a text it is the end. */
  readonly valFraction?: number | undefined;
  /** Default: with a text of your own, or `initFrom`, a configuration that follows from its size, else `defaultPreset`. */
  readonly preset?: PresetName | undefined;
  /**
   * Weights to begin with: a run's folder, for its best ones, or a checkpoint's directory. Model and tokenizer are
   * theirs; of the model's fields only `dropout` may differ and, with rotary positions, `contextLength` and
   * `position.scaling`. The text may have no other characters than the tokenizer.
   */
  readonly initFrom?: string | undefined;
  /**
   * With adapters (`config.lora`) for a GGUF file whose matrices are in blocks of 4 to 8 bits: whether these stay so. Then nothing of
   * the model is kept in another form; each product of a training step widens the matrix that it multiplies, and evaluations
   * and samples compute as those of the loaded model do, with activations of 8 bits. false: they are widened once, to the dtype.
   * Default true.
   */
  readonly keepBlocks?: boolean | undefined;
  /** Fields to change in the preset, or in what a text of your own decides, as `{ model: { nLayer: 6 }, train: { steps: 500 } }`. */
  readonly config?: PartialConfig<RunConfig>;
  /**
   * Folder of the run: new or empty. null: nothing is saved. Default: null with `text` or `documents`, as in a page; else
   * `runs/<time>-<name of the text>`, with `-<preset>` for another than the default one, and a number if it is taken.
   */
  readonly out?: string | null | undefined;
  /** Prompt of the samples; default: one that fits the text. */
  readonly prompt?: string | undefined;
  /** Tokens to write at the end; 0: none. Default 400. */
  readonly finalSampleTokens?: number;
}

/** A run that continues from a checkpoint. */
export interface ResumedRunOptions extends Running {
  /**
   * A run's folder: the run continues in place, from its last checkpoint to its planned end. Or one of the checkpoints
   * in it, as `checkpoint-400`: then the run goes back to that one, and the last one is set aside.
   */
  readonly resume: string;
  /**
   * A new number of all steps, those done included: the run goes on to it, also if it has ended. It becomes the run's
   * plan, which a later resumption follows.
   */
  readonly steps?: number | undefined;
  /**
   * The learning rate with new `steps`. "stretch", the default: that of a run of so many steps from its beginning.
   * "restart": that of a new run of the added steps. Both are reached over `train.warmupSteps`. "constant": the last one.
   */
  readonly extend?: ExtendKind | undefined;
  /** Action at a step that is not finite or explodes, from here on. Default: as the run began. */
  readonly onNonfinite?: RunConfig["train"]["onNonfinite"] | undefined;
}

/** Options of `train`, to begin or to continue a run. */
export type TrainOptions = NewRun | ResumedRunOptions;
