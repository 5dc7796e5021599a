import type { GuessCounts } from "../engine/guess-state.ts";
import type { Candidate } from "../pretrained/model/likeliest.ts";
import type { ScoredToken } from "../pretrained/model/score.ts";
import type { SkippedText } from "../tokenizer/unknown.ts";

/**
 * Why generation ended. `length`: the model wrote `maxNewTokens` tokens. `stop`: a stop string appeared. `endOfText`:
 * the model drew one of `endTokens`, or the constraint allows nothing more. `aborted`: the signal was aborted.
 */
export type FinishReason = "length" | "stop" | "endOfText" | "aborted";

/** One token was drawn. */
export interface TokenEvent {
  /** Version of the event's format. */
  readonly v: 1;
  readonly type: "token";
  /** 0 for the first token after the prompt. */
  readonly index: number;
  /** The token's id, from 0 to vocabSize − 1. */
  readonly id: number;
  /**
   * Text that may be shown at this point. It is empty while a character lacks bytes, and while the text may be the
   * beginning of a stop string. The texts of all tokens together give the text of the event `done`.
   */
  readonly text: string;
  /**
   * The model's own probability of the token, from 0 to 1. It is the softmax of all logits at temperature 1, before
   * top-k and the other filters. Present only if the option `candidates` is 1 or more.
   */
  readonly probability?: number;
  /**
   * ln of `probability`, in nats. It is finite even where `probability` is so small that it rounds to 0. Present only
   * if the option `candidates` is 1 or more.
   */
  readonly logProb?: number;
  /**
   * The most probable tokens at this position, the most probable first; equally probable tokens are sorted by id. The
   * option `candidates` sets the number of these tokens. The drawn token is not always among them.
   */
  readonly candidates?: readonly Candidate[];
}

/** The last event. */
export interface GenerateDoneEvent {
  /** Version of the event's format. */
  readonly v: 1;
  readonly type: "done";
  /** Distinguishes this event from the event `done` of `train`, whose task is `"train"`. */
  readonly task: "generate";
  /** Why generation ended. */
  readonly finishReason: FinishReason;
  /**
   * All text after the prompt. If the signal was aborted, text that was held back as a possible stop string is missing.
   */
  readonly text: string;
  /** Number of tokens of the prompt. */
  readonly promptTokens: number;
  /** Number of tokens written, including the end token if the model drew one. */
  readonly newTokens: number;
  /**
   * Counts of guessed tokens, present if the option `speculate` is in use. If the text was aborted, the counts include
   * tokens that were computed ahead but never read.
   */
  readonly guesses?: GuessCounts;
  /** Characters that were left out of the prompt. Present only with `unknown: "skip"` and if there were any. */
  readonly skipped?: SkippedText;
}

/** What `generate` yields. */
export type GenerateEvent = TokenEvent | GenerateDoneEvent;

/** Log-probabilities of the prompt's tokens. This event comes before the first token of the text. */
export interface PromptEvent {
  /** Version of the event's format. */
  readonly v: 1;
  readonly type: "prompt";
  /** The prompt's tokens in order. The first token has no log-probability, since nothing predicts it. */
  readonly tokens: readonly ScoredToken[];
}
