import { ConfigError } from "../core/errors/errors.ts";
import { logitsFault } from "../core/errors/logits-fault.ts";
import { firstNotFinite } from "../core/tensors/finite.ts";
import { show } from "../core/text/show.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { likeliestOf, probabilityAt, softmaxSum } from "../pretrained/model/likeliest.ts";
import { encodeInside } from "../tokenizer/special.ts";
import { textStream } from "../tokenizer/text-stream.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { ReadText } from "../tokenizer/unknown.ts";
import type { CompiledConstraint } from "./constraint/compile.ts";
import type { Matcher } from "./constraint/matcher.ts";
import type { FinishReason, GenerateDoneEvent, TokenEvent } from "./events.ts";
import type { ParsedOptions } from "./options.ts";
import { createChain } from "./sampling/chain.ts";
import { stopWatch } from "./stop-strings.ts";

/** Turns logits into the tokens and the text after a prompt. */
export interface TextWriter {
  /**
   * Chooses the next token. Returns null if the text has ended without another token.
   * @param logits at least V numbers, because an embedding may have more rows than the vocabulary has tokens.
   * @throws CheckpointError if the model's logits are not finite.
   */
  write(logits: Float32Array): TokenEvent | null;
  /**
   * Returns a function that chooses the next tokens in the same way as `write`, but without the caller's own function.
   * The function does not change the text.
   */
  ahead(): (logits: Float32Array) => number;
  /** Tokens that must follow because of the constraint: at most `most`. Undefined if there is no constraint. */
  readonly forced: ((most: number) => readonly number[]) | undefined;
  /** Whether the text has no tokens yet. */
  readonly isFirst: boolean;
  /** The reason why the text has ended, or null if it has not ended. */
  readonly finishReason: FinishReason | null;
  /** The last event of the text. @param reason why the text ended. The caller may give a reason of its own. */
  done(reason: FinishReason): GenerateDoneEvent;
}

type Probabilities = Pick<TokenEvent, "probability" | "logProb" | "candidates">;

/** Computes the probabilities in events. @param most number of candidates to report. 0 means no probabilities. */
const probabilitiesOf = (lm: LanguageModel, most: number): ((logits: Float32Array, id: number) => Probabilities) => {
  if (most === 0) return () => ({});
  const likeliest = likeliestOf(lm.tokenizer, most);
  return (logits, id) => {
    const sum = softmaxSum(logits, 0, logits.length);
    const told = probabilityAt(logits, id, sum);
    if (Number.isNaN(told.probability)) throw logitsFault("generate: candidates", Number.NaN);
    return { ...told, candidates: likeliest(logits, 0, sum) };
  };
};

/** Token sequences that write one of the words, alone or after a space. */
const bannedTokens = ({ tokenizer }: LanguageModel, words: readonly string[]): (readonly number[])[] => {
  const lists = words
    .flatMap((word) => [word, ` ${word}`])
    .flatMap((text) => {
      try {
        return [Array.from(encodeInside(tokenizer, text))];
      } catch {
        // The tokenizer cannot write this text.
        return [];
      }
    });
  return lists.filter((list) => list.length > 0);
};

const where = "generate: constrainedPrompt";

/**
 * Adds the beginning of a constrained text. @throws ConfigError if the constraint does not allow this beginning, or if
 * no token may follow.
 */
const acceptBegun = (tokenizer: Tokenizer, matcher: Matcher, begun: ArrayLike<number>, hasEnd: boolean): void => {
  for (const id of Array.from(begun)) {
    if (matcher.accept(id)) continue;
    const must = "must be the beginning of a text that the constraint allows";
    throw new ConfigError({ where, must, got: `${show(tokenizer.token(id))}, which may not follow here` });
  }
  // Without an end token, there would be no token to draw.
  if (matcher.isOver && !hasEnd && begun.length > 0)
    throw new ConfigError({ where, must: "must be shorter than a complete text", got: "a complete text" });
};

/**
 * @param prompt the prompt as token ids.
 * @param constraint the constraint of the options, compiled.
 */
export const createTextWriter = (
  lm: LanguageModel,
  options: ParsedOptions,
  prompt: ReadText,
  constraint: CompiledConstraint | null,
): TextWriter => {
  const { maxNewTokens, seed, stop, showSpecialTokens, endTokens, candidates, badWords, logitBias, samplers } = options;
  const { vocabSize } = lm.tokenizer;
  const ends = new Set([...lm.endTokens, ...endTokens]);
  const matcher = constraint?.matcher([...ends]);
  const begun = prompt.ids.slice(prompt.ids.length - options.constrainedPrompt);
  if (matcher !== undefined) acceptBegun(lm.tokenizer, matcher, begun, ends.size > 0);
  const chain = createChain(
    {
      ...{ sampling: options, seed, order: samplers },
      biases: new Map(Object.entries(logitBias).map(([id, bias]) => [Number(id), bias])),
      banned: bannedTokens(lm, badWords),
      adjust: options.adjustLogits,
      constraint: matcher,
    },
    Array.from(prompt.ids),
  );
  const stream = textStream(lm.tokenizer, { showSpecialTokens });
  const watch = stopWatch(stop);
  const tellOf = probabilitiesOf(lm, candidates);
  let text = "";
  let count = 0;
  // A constraint may allow only the empty text.
  let finishReason: FinishReason | null = matcher?.isOver === true ? "endOfText" : null;
  return {
    get isFirst() {
      return count === 0;
    },
    get finishReason() {
      return finishReason;
    },
    ahead: chain.ahead,
    forced: matcher?.forced,
    write(logits) {
      const given = logits.subarray(0, vocabSize);
      // A damaged model usually gives no finite logit at all, so only the first logits are all checked.
      const fault = count === 0 ? firstNotFinite(given) : -1;
      if (fault !== -1) throw logitsFault("generate", given[fault]);
      const id = chain.next(given);
      if (id === null) {
        const rest = watch.push(stream.end());
        text += rest.text + (rest.stopped ? "" : watch.end());
        finishReason = rest.stopped ? "stop" : "endOfText";
        return null;
      }
      if (!Number.isFinite(given[id])) throw logitsFault("generate", given[id]);
      const index = count++;
      matcher?.accept(id);
      // If no token may follow the text, it ends without an end token.
      const isEnd = ends.has(id) || matcher?.isOver === true;
      const isLast = isEnd || count === maxNewTokens;
      let { text: shown, stopped } = watch.push(stream.push(id));
      if (isLast && !stopped) {
        // Add all text that was held back until now.
        const rest = watch.push(stream.end());
        stopped = rest.stopped;
        shown += rest.text + (rest.stopped ? "" : watch.end());
      }
      text += shown;
      if (stopped) finishReason = "stop";
      else if (isEnd) finishReason = "endOfText";
      else if (isLast) finishReason = "length";
      return { v: 1, type: "token", index, id, text: shown, ...tellOf(logits, id) };
    },
    done(reason) {
      const { skipped } = prompt;
      const counts = { promptTokens: prompt.ids.length, newTokens: count };
      const facts = { finishReason: reason, text, ...counts, ...(skipped === undefined ? {} : { skipped }) };
      return { v: 1, type: "done", task: "generate", ...facts };
    },
  };
};
