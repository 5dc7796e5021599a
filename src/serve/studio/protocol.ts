/**
 * Protocol between the studio's page and its server: JSON, and server-sent events with JSON data. Events of runs have
 * the same format as the events of `train`. Events of texts have the same format as the events of `generate`. This file
 * imports no code for Node, so the page may import it.
 */
import { z } from "zod";
import { messagesSchema } from "../../chat/messages.ts";
import type { RunConfig } from "../../config/config.ts";
import type { PresetName } from "../../config/presets.ts";
import { type Constraint, constraintSchema } from "../../generate/constraint/constraint.ts";
import type { GenerateDoneEvent, TokenEvent } from "../../generate/events.ts";
import { generateSettingsSchema } from "../../generate/options.ts";
import type { Candidate } from "../../pretrained/model/likeliest.ts";
import type { MemoryEstimate } from "../../runs/memory-estimate.ts";
import type { SettingProgress, SweepProgress } from "../../sweep/progress.node.ts";
import { type SkippedText, unknownSchema } from "../../tokenizer/unknown.ts";
import type { ServerState } from "../openai/start.ts";
import { headsOffSchema } from "./inside/protocol.ts";

/** Prefix of every address of the protocol. */
export const apiPath = "/api/v1";

/**
 * Response to a failed request. Status 400 (wrong request), 401, 403, 404, 405, 408 (body too slow), 409 (not possible
 * at this time), 413 (too large), 415, 500 or 503 (too many bodies at a time).
 */
export interface Failure {
  /** One line with three parts: the condition, the received value, and a hint. */
  readonly error: string;
  /** The field with the mistake, in the request or the configuration, such as "train.steps". */
  readonly field?: string;
  /** Characters of the text that the model's tokenizer lacks: at most 500 characters, each listed once. */
  readonly characters?: readonly string[];
  /** Further errors of the same request, at most 20. */
  readonly others?: readonly Failure[];
}

/** GET info. */
export interface StudioInfo {
  readonly version: string;
  /** Name of the folder of runs, without its path. */
  readonly runsFolder: string;
  /** Name of the folder of texts. Null: no such folder was given at start. */
  readonly textFolder: string | null;
  readonly backend: {
    readonly name: string;
    readonly instructionSet: string;
    readonly threads: number;
    /** How to get missing native kernels, from `BackendReport`. Null: nothing is missing. */
    readonly advice: string | null;
  };
  /** Whether an OpenAI server runs in the studio. GET <apiPath>/server describes the server's state. */
  readonly serves: boolean;
  readonly presets: readonly { readonly name: PresetName; readonly about: string }[];
  readonly defaultPreset: PresetName;
  /** Names of built-in texts. */
  readonly corpora: readonly string[];
}

/** The process that writes a run's folder: this studio, or another process. Null: no process writes it. */
export type RunOwner = "studio" | "elsewhere" | null;

/** A run in the list. GET runs: `RunListAnswer`. */
export interface RunSummary {
  readonly name: string;
  readonly owner: RunOwner;
  /** `unfinished` with an owner: the run is in progress. `failed`: the run ended with the error in `failure`. */
  readonly state: "finished" | "patience" | "interrupted" | "unfinished" | "failed";
  readonly failure: string | null;
  /** Whether this studio pauses the run while a text is written. */
  readonly paused: boolean;
  readonly startedAt: string;
  readonly updatedAt: string;
  readonly preset: PresetName | null;
  readonly parameters: number | null;
  /** Number of trained parameters of a run that trains adapters (LoRA). Null: the run trains the whole model. */
  readonly adapterParameters: number | null;
  readonly corpus: string;
  readonly corpusSha256: string;
  readonly vocabSize: number | null;
  readonly step: number;
  readonly steps: number;
  readonly best: {
    readonly step: number;
    readonly valLoss: number;
    readonly natsPerCharacter: number;
    readonly bitsPerByte: number;
  } | null;
  readonly hasCheckpoint: boolean;
  readonly initFrom: string | null;
  readonly config: RunConfig;
}

/**
 * A sweep in the list. The runs in the list have the losses and the steps done so far. A run of a sweep is in the list
 * after it has begun.
 */
export interface SweepSummary extends Omit<SweepProgress, "data" | "teachers" | "settings"> {
  readonly name: string;
  /** Whether a process trains the sweep's runs or measures its winner. */
  readonly isRunning: boolean;
  /** Settings in the order of the file; `runs` are names in the list of runs. */
  readonly settings: readonly SettingProgress[];
  /** Command that trains the best setting on the whole text; null while there is no result. */
  readonly command: string | null;
}

export interface RunListAnswer {
  /** Runs in the folder, and runs of the folder's sweeps. These have names such as "rates:03-seed2". */
  readonly runs: readonly RunSummary[];
  readonly sweeps: readonly SweepSummary[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * GET runs/NAME/series: the numbers of a run so far, in columns of equal length. If the run has more than `mostSteps`
 * steps, only some steps are included. `?most=N` sets a lower limit, at least 1,000. `offset` is the byte of the event
 * log at which the numbers end. GET runs/NAME/events?after=OFFSET continues from there.
 */
export interface RunSeries {
  readonly offset: number;
  readonly steps: {
    readonly step: readonly number[];
    readonly loss: readonly number[];
    readonly learningRate: readonly number[];
    readonly gradNorm: readonly number[];
    readonly tokensPerSecond: readonly number[];
  };
  readonly evals: {
    readonly step: readonly number[];
    readonly valLoss: readonly number[];
    readonly trainLoss: readonly (number | null)[];
    readonly natsPerCharacter: readonly number[];
    readonly bitsPerByte: readonly number[];
    /** Losses of averaged weights; null at evaluations without them. Absent if the run has none. */
    readonly averagedLoss?: readonly (number | null)[];
  };
  readonly samples: readonly { readonly step: number; readonly prompt: string; readonly text: string }[];
  /** Steps that were skipped because a value was not finite, or because the loss or the gradient exploded. */
  readonly leftOut: readonly number[];
  /** Number of validation tokens; null if unknown. */
  readonly valTokens: number | null;
  /** Whether the run learns conversations. In each sample, the model then answers the prompt. */
  readonly chat: boolean;
  /** Whether the validation text is the training text itself. */
  readonly valIsTraining: boolean;
  /** Number of tokens of a step. */
  readonly tokensPerStep: number;
  /** Maximum number of steps in the response. */
  readonly mostSteps: number;
  /**
   * Null: every step is included. Otherwise only the last steps are complete: 1,000 steps, or a quarter of `mostSteps`
   * if that is less. Earlier steps are divided into groups of equal size. Each group includes only the steps with the
   * lowest and the highest value of a column. `seconds`: for each included step, the time of all steps up to this step.
   */
  readonly thinned: { readonly seconds: readonly number[] } | null;
}

/**
 * GET runs/NAME/events?after=OFFSET: an endless stream of server-sent events. A header Last-Event-ID replaces OFFSET.
 * An unknown name gives status 404 with a `Failure`.
 * - `event: run`, data: one event of `train` as in metrics.jsonl, id: the byte offset after the event.
 * - `event: summary`, data: `RunSummary`, at the beginning and after each change.
 * - `event: reset`, data: {}. `reset` is the last event of the stream. The event log was rewritten, for example by a
 *   resumed run. The client must read the series again, and then the events after the new `offset`.
 * - `event: failed`, data: `Failure`: the stream cannot continue and ends.
 * GET events: a stream of `event: list`, data: `RunListAnswer`. The event comes at the beginning and after each change
 * of a summary, but at most once a second.
 */
export type SeriesEventName = "run" | "summary" | "reset" | "failed" | "list";

/** The text of a new run. For a `file`, `path` is relative to the folder of texts and uses slashes. */
export const textSourceSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("corpus"), name: z.string().min(1) }),
  z.strictObject({ kind: z.literal("file"), path: z.string().min(1) }),
  z.strictObject({ kind: z.literal("given"), name: z.string().min(1).max(100), text: z.string().min(1) }),
]);
export type TextSource = z.infer<typeof textSourceSchema>;

/**
 * POST plan: `RunPlan`. POST runs: `BegunRun`, after the run's first event. The status is 409 with a `Failure` if
 * another run is in progress or if the name exists.
 */
export const newRunSchema = z.strictObject({
  text: textSourceSchema,
  preset: z.string().optional(),
  /** Fields that differ from the preset, or from the defaults for the text, such as {"train":{"steps":500}}. */
  config: z.record(z.string(), z.unknown()).optional(),
  /** Name of the run's folder: letters (also with combining marks), digits, "-", "_" and ".". */
  name: z
    .string()
    .regex(/^[\p{L}\p{N}][\p{L}\p{M}\p{N}._-]*$/u, "must have only letters, digits, -, _ and .")
    .max(80, "must have at most 80 characters")
    .optional(),
  /** Key of the initial model, from `models`. */
  initFrom: z.string().optional(),
  /** Number of latest checkpoints to keep. Default: 1. The best checkpoint is always kept too. */
  keepLast: z.int().min(1).max(1000).optional(),
});
export type NewRunRequest = z.infer<typeof newRunSchema>;

/** A run that was started or resumed. */
export interface BegunRun {
  readonly name: string;
  /** Lines for the user, for example that a different text is used. Usually empty. */
  readonly notices: readonly string[];
}

/** Description of a run before it is started. */
export interface RunPlan {
  readonly config: RunConfig;
  /** Fields with values that depend on the size of the text. */
  readonly derived: readonly string[];
  readonly parameters: number;
  readonly trainTokens: number;
  readonly valTokens: number;
  readonly vocabSize: number;
  readonly memory: MemoryEstimate;
  readonly availableMemory: number | null;
  /**
   * Estimated seconds until the end of the run, with evaluations and samples. The estimate uses the speed of earlier
   * runs of this size on this machine, or timed steps. Null: unknown.
   */
  readonly seconds: number | null;
  /** Name for GET plans/NAME/time. Null: `seconds` is known, or the model is not timed, as in `PlanTime`. */
  readonly timing: string | null;
  /** The equivalent command for a terminal. For a pasted text, the command names a file that would contain the text. */
  readonly command: string;
}

/**
 * GET plans/NAME/time: the time of a planned run. The server times a few steps of the planned model and then answers. A
 * newer plan or a new run ends this. Models are not timed while a run of this studio trains, with teachers, over weights
 * in blocks, if the run needs more than half of the free memory, or if it would take more than a few seconds.
 */
export interface PlanTime {
  /** As in `RunPlan`. */
  readonly seconds: number | null;
}

/**
 * POST runs/NAME/stop: answers `{ name }` at once. The run is then saved, and its summary reports the end. With
 * `elsewhere: true`, a signal also stops a run of another process.
 */
export const stopSchema = z.strictObject({ elsewhere: z.boolean().optional() });

/** POST runs/NAME/resume: `BegunRun`. The run continues to its planned end, or to a total of `steps` steps. */
export const resumeSchema = z.strictObject({
  steps: z.int().positive().optional(),
  extend: z.enum(["stretch", "restart", "constant"]).optional(),
});

/** GET texts: the texts of the folder that was given at start. */
export interface TextListAnswer {
  readonly texts: readonly { readonly path: string; readonly bytes: number }[];
}

/** GET fields: every field of a configuration, to build a form. */
export interface ConfigFieldInfo {
  /** Path of the field, such as "train.steps". */
  readonly path: string;
  readonly type: "number" | "string" | "boolean" | "words";
  readonly choices: readonly string[];
  /** Description in one sentence. */
  readonly about: string;
}

/**
 * GET models: models that can write text. `key` names a model in other requests. For checkpoints of a run, the key is
 * "runs/NAME/best", "runs/NAME/last" or "runs/NAME/STEP".
 */
export interface ModelListAnswer {
  readonly models: readonly {
    readonly key: string;
    /** Name of a run, or of a model that was named at start. */
    readonly name: string;
    /** `best`, `last`, or the step of a kept checkpoint. Null for a model that is not from a run. */
    readonly weights: string | null;
    readonly step: number | null;
    /**
     * Whether the model is an adapter together with its base model. An adapter can write text, but no run can start
     * from it.
     */
    readonly isAdapter: boolean;
    /**
     * Whether the model has a chat template. Conversations need a chat template. Null: unknown until the model is
     * loaded.
     */
    readonly hasChatTemplate: boolean | null;
  }[];
}

/** POST generate: server-sent events with a `WritingEvent` as data. Closing the connection ends the text. */
export const writeSchema = z.strictObject({
  model: z.string().min(1),
  prompt: z.string(),
  /** Ids of the tokens of an earlier text after the prompt. The new text continues after these tokens. */
  promptIds: z.array(z.int().min(0)).max(65_536).optional(),
  settings: generateSettingsSchema.partial().optional(),
  /** The constraint on the text, including the tokens `promptIds`. */
  constraint: constraintSchema().optional(),
  /** Whether to guess the next tokens from the text itself. The text stays the same but is written faster. */
  speculate: z.literal("ngram").optional(),
  /** Number of most probable tokens to report at each position. */
  candidates: z.int().min(0).max(50).optional(),
  headsOff: headsOffSchema.optional(),
});
export type WriteRequest = Omit<z.infer<typeof writeSchema>, "constraint"> & {
  readonly constraint?: Constraint | undefined;
};

export type WritingEvent =
  /**
   * The first event. `promptIds`: ids of the prompt. `paused`: runs of this studio that pause while the text is
   * written. `sharedWith`: runs of other processes that use the cores at the same time.
   */
  | {
      readonly type: "begin";
      readonly promptIds: readonly number[];
      readonly paused: readonly string[];
      readonly sharedWith: readonly string[];
    }
  | TokenEvent
  | GenerateDoneEvent
  | ({ readonly type: "failed" } & Failure);

/** GET models/system?model=KEY: what a conversation without a system message begins with. */
export interface SystemAnswer {
  /** System message that the model's chat template adds. Empty: it adds none. Null: unknown. */
  readonly added: string | null;
}

/**
 * POST chat: the answer to the last message of a conversation, as server-sent events with a `ChatEvent` as data.
 * Closing the connection ends the answer.
 */
export const chatSchema = z.strictObject({
  model: z.string().min(1),
  messages: messagesSchema.max(4096),
  /** Ids of the answer's tokens so far. With these ids, an unfinished answer continues. */
  answerIds: z.array(z.int().min(0)).max(65_536).optional(),
  settings: generateSettingsSchema.omit({ unknown: true }).partial().optional(),
  /** Number of most probable tokens to report at each position. */
  candidates: z.int().min(0).max(50).optional(),
});
export type ChatRequest = z.infer<typeof chatSchema>;

export type ChatEvent =
  /** The first event. `paused` and `sharedWith`: as in `WritingEvent`. */
  | {
      readonly type: "begin";
      /** Number of the model's parameters. */
      readonly parameters: number;
      /** Number of tokens that the model reads. */
      readonly promptTokens: number;
      /**
       * Number of oldest messages that the model does not read, because the conversation is longer than the model's
       * context.
       */
      readonly leftOut: number;
      readonly paused: readonly string[];
      readonly sharedWith: readonly string[];
    }
  | TokenEvent
  | GenerateDoneEvent
  | ({ readonly type: "failed" } & Failure);

/** POST score: `ScoreAnswer`. */
export const scoreSchema = z.strictObject({
  model: z.string().min(1),
  text: z.string().min(1).max(1_000_000),
  candidates: z.int().min(0).max(50).optional(),
  unknown: unknownSchema.optional(),
  headsOff: headsOffSchema.optional(),
});

export type ScoreRequest = z.infer<typeof scoreSchema>;

export interface ScoreAnswer {
  readonly tokens: readonly {
    readonly id: number;
    readonly text: string;
    /** ln p, in nats; null for the first token. */
    readonly logProb: number | null;
    readonly candidates?: readonly Candidate[];
  }[];
  /** Part of the text that the model predicts, and that all sums and means are over: without the first token. */
  readonly predicted: { readonly tokens: number; readonly characters: number; readonly bytes: number };
  /** Sum of the log-probabilities, in nats. */
  readonly total: number;
  readonly natsPerToken: number;
  readonly natsPerCharacter: number;
  readonly bitsPerByte: number;
  /** Characters that were left out. Present only with `unknown: "skip"`. */
  readonly skipped?: SkippedText;
  readonly paused: readonly string[];
}

/** Response to GET <apiPath>/server: the OpenAI server in the studio, and its state. */
export interface ServerAnswer extends ServerState {
  /** Base address of the server's API: `http://127.0.0.1:8000/v1`. */
  readonly url: string;
}
