import type { GuessCounts } from "../engine/guess-state.ts";
import type { Candidate } from "../pretrained/model/likeliest.ts";
import type { ScoredToken } from "../pretrained/model/score.ts";
import type { SkippedText } from "../tokenizer/unknown.ts";

/**
 * The reason why the text ended. `length`: the model wrote `maxNewTokens` tokens. `stop`: a stop string appeared.
 * `endOfText`: the model drew one of `endTokens`, or the constraint allows no further token. `aborted`: the signal was
 * aborted.
 */
export type FinishReason = "length" | "stop" | "endOfText" | "aborted";

/** One token was drawn. */
export interface TokenEvent {
  /** Version of the event format. */
  readonly v: 1;
  readonly type: "token";
  /** Index of the token after the prompt, from 0. */
  readonly index: number;
  /** The token's id, from 0 to vocabSize − 1. */
  readonly id: number;
  /**
   * Text that may be shown now. The text is empty while a character is incomplete, and while the text may be the
   * beginning of a stop string. The texts of all tokens together are the text of the event `done`.
   */
  readonly text: string;
  /**
   * The model's own probability of the token, from 0 to 1. This probability is the softmax of all logits at temperature
   * 1, before the filters. Present only if the option `candidates` is 1 or more.
   */
  readonly probability?: number;
  /**
   * ln of `probability`, in nats. The number is finite even if `probability` is rounded to 0. Present only if the
   * option `candidates` is 1 or more.
   */
  readonly logProb?: number;
  /**
   * The most probable tokens at this position. The most probable token comes first; equally probable tokens are sorted
   * by id. The option `candidates` sets the number of tokens. The list may not contain the drawn token.
   */
  readonly candidates?: readonly Candidate[];
}

/** The last event. */
export interface GenerateDoneEvent {
  /** Version of the event format. */
  readonly v: 1;
  readonly type: "done";
  /** Distinguishes this event from the event `done` of `train`, which has the task `"train"`. */
  readonly task: "generate";
  /** The reason why the text ended. */
  readonly finishReason: FinishReason;
  /**
   * All text after the prompt. If the signal was aborted, the end of the text may be missing, because a possible
   * beginning of a stop string is not included.
   */
  readonly text: string;
  /** Number of prompt tokens. */
  readonly promptTokens: number;
  /** Number of written tokens, including the end token if the model drew one. */
  readonly newTokens: number;
  /**
   * Counts of guessed tokens. Present only with the option `speculate`. If the text was aborted, the counts include
   * tokens that were computed but never read.
   */
  readonly guesses?: GuessCounts;
  /**
   * Characters that were left out of the prompt. Present only with `unknown: "skip"`, and only if characters were left
   * out.
   */
  readonly skipped?: SkippedText;
}

/** What `generate` yields. */
export type GenerateEvent = TokenEvent | GenerateDoneEvent;

/** Log-probabilities of the prompt's tokens. This event comes before the first token of the text. */
export interface PromptEvent {
  /** Version of the event format. */
  readonly v: 1;
  readonly type: "prompt";
  /** The prompt's tokens in order. The first token has no log-probability, since nothing predicts it. */
  readonly tokens: readonly ScoredToken[];
}
