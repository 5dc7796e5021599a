import type { GuessCounts } from "../engine/guess-state.ts";
import type { Candidate } from "../pretrained/model/likeliest.ts";
import type { ScoredToken } from "../pretrained/model/score.ts";
import type { SkippedText } from "../tokenizer/unknown.ts";

/**
 * Why generation ended: `maxNewTokens` were written, a stop string came, the model drew the end of a text (one of
 * `endTokens`) or its constraint let nothing follow, or the signal was aborted.
 */
export type FinishReason = "length" | "stop" | "endOfText" | "aborted";

/** A token was drawn. */
export interface TokenEvent {
  /** Version of the event's format. */
  readonly v: 1;
  readonly type: "token";
  /** 0 for the first token after the prompt. */
  readonly index: number;
  /** The token's id, from 0 to vocabSize − 1. */
  readonly id: number;
  /**
   * Text that may now be shown: empty while a character lacks bytes, or it might be the beginning of a stop string. The
   * texts of all tokens add up to the text of `done`.
   */
  readonly text: string;
  /**
   * The model's own probability of the token: softmax of all logits at temperature 1, before top-k and the rest. From 0 to 1.
   * Only where the option `candidates` asks for some.
   */
  readonly probability?: number;
  /** ln of `probability`, in nats; a number where that is too small for one. Only where the option `candidates` asks for some. */
  readonly logProb?: number;
  /**
   * The most probable tokens at this place, the most probable first, equal ones by their ids: as many as the option
   * `candidates` asks for. The drawn token need not be among them.
   */
  readonly candidates?: readonly Candidate[];
}

/** Last: nothing more is written. */
export interface GenerateDoneEvent {
  /** Version of the event's format. */
  readonly v: 1;
  readonly type: "done";
  /** The `done` of `train` has `"train"`. */
  readonly task: "generate";
  /** Why generation ended. */
  readonly finishReason: FinishReason;
  /** All text after the prompt; where the signal was aborted, without what was held back for a stop string. */
  readonly text: string;
  /** Tokens of the prompt. */
  readonly promptTokens: number;
  /** Tokens that were written. The end of text is one of them, where it was drawn. */
  readonly newTokens: number;
  /** Where the option `speculate` is in use. Of an aborted text with those that nobody has read. */
  readonly guesses?: GuessCounts;
  /** What was left out of the prompt, with `unknown: "skip"` and only if there was any. */
  readonly skipped?: SkippedText;
}

/** What `generate` yields. */
export type GenerateEvent = TokenEvent | GenerateDoneEvent;

/** The log-probabilities of a prompt's tokens, before the first token of the text. */
export interface PromptEvent {
  /** Version of the event's format. */
  readonly v: 1;
  readonly type: "prompt";
  /** In their order. Nothing predicts the first. */
  readonly tokens: readonly ScoredToken[];
}
