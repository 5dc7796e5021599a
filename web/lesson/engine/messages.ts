/** What the page and the lesson's worker say to each other. */

/** `model`: the one that part 4 trains and part 6 writes with. `race`: the same model with the mask and without. */
export type SessionName = "model" | "race";

/** Steps between two measurements on held-out text, each with a sample. */
export const lookEvery = 50;

export type Request =
  /** A new text: what was trained before is gone. */
  | { readonly kind: "open"; readonly text: string; readonly prompt: string; readonly threads: number }
  /** Begins or goes on; the other session is paused. */
  | { readonly kind: "train"; readonly session: SessionName }
  | { readonly kind: "pause"; readonly session: SessionName }
  /** Back to fresh weights. */
  | { readonly kind: "again"; readonly session: SessionName }
  /** The model's logits for what follows `ids`, of which it sees at most the context's length. */
  | { readonly kind: "logits"; readonly call: number; readonly ids: readonly number[] };

export interface Opened {
  readonly threads: number;
  readonly parameters: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly batchSize: number;
  readonly steps: number;
  readonly trainTokens: number;
  /** Held-out characters that are measured. */
  readonly heldOut: number;
  /** Whether the text has spaces between its words, so that they can be counted. */
  readonly hasWords: boolean;
}

/** Text of a learner after so many steps. */
export interface Sample {
  readonly learner: number;
  readonly step: number;
  readonly prompt: string;
  readonly text: string;
}

export interface Measured {
  readonly learner: number;
  readonly step: number;
  /** On held-out text, with the mask of the training, nats per character. */
  readonly loss: number;
}

/** The end of a learner: the same weights measured with the mask, and its text. */
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
  /** Losses of the steps since the last report, of each learner. */
  | { readonly kind: "losses"; readonly session: SessionName; readonly losses: readonly (readonly number[])[] }
  | { readonly kind: "sample"; readonly session: SessionName; readonly sample: Sample }
  | { readonly kind: "measured"; readonly session: SessionName; readonly measured: Measured }
  | { readonly kind: "outcomes"; readonly session: SessionName; readonly outcomes: readonly Outcome[] }
  | { readonly kind: "fresh"; readonly session: SessionName }
  /** Whether the browser keeps what is learned: null, or the line that says why it does not. */
  | { readonly kind: "kept"; readonly problem: string | null }
  | { readonly kind: "logits"; readonly call: number; readonly logits: Float32Array }
  | { readonly kind: "failed"; readonly error: string };
