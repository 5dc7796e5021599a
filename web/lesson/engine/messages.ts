/** Messages between the page and the lesson's worker. */

/** `model`: the model that part 4 trains and part 6 writes with. `race`: two models, with and without the mask. */
export type SessionName = "model" | "race";

/** Steps between two measurements on held-out text. Each measurement also writes a sample. */
export const lookEvery = 50;

export type Request =
  /** Opens a new text. Trainings of the previous text are lost. */
  | { readonly kind: "open"; readonly text: string; readonly prompt: string; readonly threads: number }
  /** Starts or resumes a session. The other session is paused. */
  | { readonly kind: "train"; readonly session: SessionName }
  | { readonly kind: "pause"; readonly session: SessionName }
  /** Restarts a session with initial weights. */
  | { readonly kind: "again"; readonly session: SessionName }
  /** Requests the model's logits after `ids`. The model sees at most the context length. */
  | { readonly kind: "logits"; readonly call: number; readonly ids: readonly number[] };

export interface Opened {
  readonly threads: number;
  readonly parameters: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly batchSize: number;
  readonly steps: number;
  readonly trainTokens: number;
  /** Number of held-out characters that are measured. */
  readonly heldOut: number;
  /** Whether the text separates words by spaces. Only then can words be counted. */
  readonly hasWords: boolean;
}

/** Text that a learner wrote after `step` steps. */
export interface Sample {
  readonly learner: number;
  readonly step: number;
  readonly prompt: string;
  readonly text: string;
}

export interface Measured {
  readonly learner: number;
  readonly step: number;
  /** Loss on held-out text with the mask of the training, in nats per character. */
  readonly loss: number;
}

/** Final result of a learner: losses with both masks, and a text. */
export interface Outcome {
  readonly learner: number;
  readonly asTrained: number;
  readonly withMask: number;
  readonly text: string;
  readonly words: number;
  readonly known: number;
}

export type Report =
  | { readonly kind: "opened"; readonly opened: Opened }
  | { readonly kind: "running"; readonly session: SessionName; readonly running: boolean }
  /** Losses of each learner in the steps since the last report. */
  | { readonly kind: "losses"; readonly session: SessionName; readonly losses: readonly (readonly number[])[] }
  | { readonly kind: "sample"; readonly session: SessionName; readonly sample: Sample }
  | { readonly kind: "measured"; readonly session: SessionName; readonly measured: Measured }
  | { readonly kind: "outcomes"; readonly session: SessionName; readonly outcomes: readonly Outcome[] }
  | { readonly kind: "fresh"; readonly session: SessionName }
  /** Null if the browser stores trained models. A string is the reason why the browser does not store them. */
  | { readonly kind: "kept"; readonly problem: string | null }
  | { readonly kind: "logits"; readonly call: number; readonly logits: Float32Array }
  | { readonly kind: "failed"; readonly error: string };
