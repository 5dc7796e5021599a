/**
 * What the studio's page and its server say to each other: JSON, and server-sent events whose data is JSON. Runs' events are
 * those of `train`, texts those of `generate`; nothing here imports code for Node, so a page may import it.
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
import { type SkippedText, unknownSchema } from "../../tokenizer/unknown.ts";
import type { ServerState } from "../openai/start.ts";
import { headsOffSchema } from "./inside/protocol.ts";

/** Every address of the protocol begins with this. */
export const apiPath = "/api/v1";

/**
 * Answer to a request that failed: status 400 (the request), 401, 403, 404, 405, 408 (its body came too slowly), 409 (not now),
 * 413 (too large), 415, 500 or 503 (too many bodies at a time).
 */
export interface Failure {
  /** One line: what must hold; what came; what to try. */
  readonly error: string;
  /** The field of the request or of the configuration that it is about, as "train.steps". */
  readonly field?: string;
  /** Characters of a text that the model never saw, each once: the first 500. */
  readonly characters?: readonly string[];
  /** Other faults of the same request, the first 20. */
  readonly others?: readonly Failure[];
}

/** GET info. */
export interface StudioInfo {
  readonly version: string;
  /** Name of the folder of runs, without its path. */
  readonly runsFolder: string;
  /** Name of the folder whose texts may be chosen; null: none was named at start. */
  readonly textFolder: string | null;
  readonly backend: {
    readonly name: string;
    readonly instructionSet: string;
    readonly threads: number;
    /** How to get native kernels that are missing, as `BackendReport` has it; else null. */
    readonly advice: string | null;
  };
  /** Whether a server for other programs runs in it: GET <apiPath>/server tells what it does. */
  readonly serves: boolean;
  readonly presets: readonly { readonly name: PresetName; readonly about: string }[];
  readonly defaultPreset: PresetName;
  /** Texts that need no file. */
  readonly corpora: readonly string[];
}

/** Who writes a run's folder now: this studio, another process, or nobody. */
export type RunOwner = "studio" | "elsewhere" | null;

/** A run in the list. GET runs: `RunListAnswer`. */
export interface RunSummary {
  readonly name: string;
  readonly owner: RunOwner;
  /** `unfinished` with an owner: it is under way. `failed`: it ended with the error in `failure`. */
  readonly state: "finished" | "patience" | "interrupted" | "unfinished" | "failed";
  readonly failure: string | null;
  /** This studio holds it back, while a text is written. */
  readonly paused: boolean;
  readonly startedAt: string;
  readonly updatedAt: string;
  readonly preset: PresetName | null;
  readonly parameters: number | null;
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

export interface RunListAnswer {
  readonly runs: readonly RunSummary[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * GET runs/NAME/series: a run's numbers so far, in columns of equal length; of a run with more than `mostSteps` steps, some of them; `?most=N` asks for fewer, from 1,000 on. `offset` is where in the notes they end: GET
 * runs/NAME/events?after=OFFSET goes on from there.
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
  };
  readonly samples: readonly { readonly step: number; readonly prompt: string; readonly text: string }[];
  /** Steps that were left out since they were not finite or exploded. */
  readonly leftOut: readonly number[];
  /** Tokens that are held out; null if that is not noted. */
  readonly valTokens: number | null;
  /** Tokens of a step, on the axis of tokens. */
  readonly tokensPerStep: number;
  /** So many steps are there at most. */
  readonly mostSteps: number;
  /**
   * null: every step is there. Else the last 1,000 are, and before them of equally many steps each those with the lowest and the
   * highest value of a column; `seconds`: the time that all steps took up to each one that is there.
   */
  readonly thinned: { readonly seconds: readonly number[] } | null;
}

/**
 * GET runs/NAME/events?after=OFFSET: server-sent events, without end. `event: run`, data: one event of `train` as it is in
 * metrics.jsonl, id: the offset after it; `event: summary`, data: `RunSummary`, first and whenever it changes; `event: reset`,
 * data: {}: the notes were rewritten, as by a resumed run, so the series must be read again, and the events after its
 * `offset`; the last event of a stream; `event: failed`, data: `Failure`: the stream could not go on, and ends. GET events: `event: list`, data: `RunListAnswer`, sent first and whenever a summary
 * changes, at most once a second. A name that is no run's: status 404 with a `Failure`. With a header Last-Event-ID that id is
 * the offset.
 */
export type SeriesEventName = "run" | "summary" | "reset" | "failed" | "list";

/** The text of a new run. `file`: below the text folder, with slashes. */
export const textSourceSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("corpus"), name: z.string().min(1) }),
  z.strictObject({ kind: z.literal("file"), path: z.string().min(1) }),
  z.strictObject({ kind: z.literal("given"), name: z.string().min(1).max(100), text: z.string().min(1) }),
]);
export type TextSource = z.infer<typeof textSourceSchema>;

/**
 * POST plan: `RunPlan`. POST runs: `BegunRun`, when its first event has come; 409 with a `Failure` if another run is under way, or
 * the name is taken.
 */
export const newRunSchema = z.strictObject({
  text: textSourceSchema,
  preset: z.string().optional(),
  /** Fields that differ from the preset's or from those that follow from the text, as {"train":{"steps":500}}. */
  config: z.record(z.string(), z.unknown()).optional(),
  /** A name for its folder: letters with their marks, digits, "-", "_" and ".". */
  name: z
    .string()
    .regex(/^[\p{L}\p{N}][\p{L}\p{M}\p{N}._-]*$/u, "must have letters, digits, -, _ and . alone")
    .max(80, "must have at most 80 characters")
    .optional(),
  /** A model to begin with, by its key in `models`. */
  initFrom: z.string().optional(),
  /** Checkpoints to keep: the last one and those before it; default 1. The best one is kept besides. */
  keepLast: z.int().min(1).max(1000).optional(),
});
export type NewRunRequest = z.infer<typeof newRunSchema>;

/** A run that has begun, or goes on. */
export interface BegunRun {
  readonly name: string;
  /** Lines for the user, such as that another text is used; mostly none. */
  readonly notices: readonly string[];
}

/** What a run would be, before it is started. */
export interface RunPlan {
  readonly config: RunConfig;
  /** Fields that follow from the size of the text. */
  readonly derived: readonly string[];
  readonly parameters: number;
  readonly trainTokens: number;
  readonly valTokens: number;
  readonly vocabSize: number;
  readonly memory: MemoryEstimate;
  readonly availableMemory: number | null;
  /** Time to the end, about, from the speed of earlier runs of this size on this machine; null: none is known. */
  readonly seconds: number | null;
  /** The command that does the same in a terminal. A pasted text is named in it as the file that it would be in. */
  readonly command: string;
}

/** POST runs/NAME/stop: `{ name }`, at once; the run is saved then, and its summary tells its end. `elsewhere`: a run that another process writes is stopped too, by its signal. */
export const stopSchema = z.strictObject({ elsewhere: z.boolean().optional() });

/** POST runs/NAME/resume: `BegunRun`; goes on to the planned end, or to `steps` steps in all. */
export const resumeSchema = z.strictObject({
  steps: z.int().positive().optional(),
  extend: z.enum(["stretch", "restart", "constant"]).optional(),
});

/** GET texts: texts of the folder that was named at start. */
export interface TextListAnswer {
  readonly texts: readonly { readonly path: string; readonly bytes: number }[];
}

/** GET fields: every field of a configuration, for a form. */
export interface ConfigFieldInfo {
  /** As "train.steps". */
  readonly path: string;
  readonly type: "number" | "string" | "boolean" | "words";
  readonly choices: readonly string[];
  /** What it is, in a sentence. */
  readonly about: string;
}

/**
 * GET models: models that text can be written with. `key` names one in other requests: "runs/NAME/best", "runs/NAME/last" or
 * "runs/NAME/STEP" for a run's checkpoints.
 */
export interface ModelListAnswer {
  readonly models: readonly {
    readonly key: string;
    /** The run, or the name of a model named at start. */
    readonly name: string;
    /** `best`, `last`, or the step of a kept checkpoint; null for a model that is no run. */
    readonly weights: string | null;
    readonly step: number | null;
    /** An adapter with the model that it is for: it writes, but no run begins with it. */
    readonly isAdapter: boolean;
    /** Whether it has a chat template, so that it can be talked with; null: that is known once it is loaded. */
    readonly hasChatTemplate: boolean | null;
  }[];
}

/** POST generate: server-sent events whose data is a `WritingEvent`. A closed connection ends it. */
export const writeSchema = z.strictObject({
  model: z.string().min(1),
  prompt: z.string(),
  /** Ids that follow the prompt, from an earlier text: a branch from a token of it. */
  promptIds: z.array(z.int().min(0)).max(65_536).optional(),
  settings: generateSettingsSchema.partial().optional(),
  /** What the text must be, that of `promptIds` included. */
  constraint: constraintSchema.optional(),
  /** Looks guesses of the next tokens up in the text: the same text, sooner. */
  speculate: z.literal("ngram").optional(),
  /** Most probable tokens to name at each place. */
  candidates: z.int().min(0).max(50).optional(),
  headsOff: headsOffSchema.optional(),
});
export type WriteRequest = Omit<z.infer<typeof writeSchema>, "constraint"> & {
  readonly constraint?: Constraint | undefined;
};

export type WritingEvent =
  /** First: ids of the prompt; runs of this studio that stand still meanwhile, and runs of others that share the cores. */
  | {
      readonly type: "begin";
      readonly promptIds: readonly number[];
      readonly paused: readonly string[];
      readonly sharedWith: readonly string[];
    }
  | TokenEvent
  | GenerateDoneEvent
  | ({ readonly type: "failed" } & Failure);

/**
 * POST chat: server-sent events whose data is a `ChatEvent`: the answer to a conversation's last message. A closed connection
 * ends it.
 */
export const chatSchema = z.strictObject({
  model: z.string().min(1),
  messages: messagesSchema.max(4096),
  /** Ids of the answer's tokens so far, as of one that was cut: it goes on behind them. */
  answerIds: z.array(z.int().min(0)).max(65_536).optional(),
  settings: generateSettingsSchema.omit({ unknown: true }).partial().optional(),
  /** Most probable tokens to name at each place. */
  candidates: z.int().min(0).max(50).optional(),
});
export type ChatRequest = z.infer<typeof chatSchema>;

export type ChatEvent =
  /** First. `paused` and `sharedWith`: as in a `WritingEvent`. */
  | {
      readonly type: "begin";
      /** Tokens that the model reads. */
      readonly promptTokens: number;
      /** The oldest messages that it does not read, since the conversation is longer than its context. */
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
    /** ln p, in nats; null for the first. */
    readonly logProb: number | null;
    readonly candidates?: readonly Candidate[];
  }[];
  /** Sum of the log-probabilities, in nats. */
  readonly total: number;
  readonly natsPerToken: number;
  readonly natsPerCharacter: number;
  readonly bitsPerByte: number;
  /** With `unknown: "skip"`, where something was left out. */
  readonly skipped?: SkippedText;
  readonly paused: readonly string[];
}

/** Answer to GET <apiPath>/server: the server for other programs, and what it does. */
export interface ServerAnswer extends ServerState {
  /** Where its protocol is: `http://127.0.0.1:8000/v1`. */
  readonly url: string;
}
