/**
 * Multiple-choice questions. A model chooses the answer with the highest probability after the question. The question
 * is computed once for all of its answers. Equal beginnings of questions are also computed once.
 */

import { checkCallback, checkKeys, checkLanguageModel, checkSignal } from "../core/checks/check-arguments.ts";
import { isRecord } from "../core/checks/is-record.ts";
import { ConfigError, DataError } from "../core/errors/errors.ts";
import { logitsFault } from "../core/errors/logits-fault.ts";
import { show } from "../core/text/show.ts";
import { createSequenceEngine, type SequenceEngine } from "../engine/engine.ts";
import { whileOpen } from "../pretrained/model/closed.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { probabilityAt, softmaxSum } from "../pretrained/model/likeliest.ts";
import { withBegin } from "../tokenizer/begin.ts";

/** A question of `evaluateChoices`. */
export interface ChoiceQuestion {
  /** Text before the answer. This text must have at least one token. */
  readonly context: string;
  /** Two or more answers, exactly as they follow the context. Most answers begin with a space. */
  readonly choices: readonly string[];
  /** Index of the right answer, from 0. */
  readonly answer: number;
}

/** A model's result for one question. */
export interface ChoiceResult {
  /** Index of the question, from 0. */
  readonly index: number;
  /** ln p of each answer after the context, in nats: the sum over the tokens of the answer. */
  readonly logProbs: readonly number[];
  /** Index of the most likely answer. If several answers are equally likely, it is the index of the first. */
  readonly chosen: number;
  /** Index of the answer with the highest ln p per character. */
  readonly chosenByLength: number;
  /** Index of the right answer. */
  readonly answer: number;
}

/** A model's result for all questions. */
export interface ChoicesEvaluation {
  /** Number of questions. */
  readonly count: number;
  /** Fraction of questions that are answered correctly by the most likely answer, from 0 to 1. */
  readonly accuracy: number;
  /**
   * Fraction of questions that are answered correctly by the answer with the highest ln p per character, from 0 to 1.
   */
  readonly accuracyByLength: number;
  /** Standard error of `accuracy`: √(a·(1 − a) / count). */
  readonly standardError: number;
  /** Results in the order of the questions. */
  readonly results: readonly ChoiceResult[];
}

/** Options of `evaluateChoices`. */
export interface ChoicesOptions {
  /** Abort it to stop the evaluation with the signal's reason. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of finished questions and the number of all questions. Default: none. */
  readonly onProgress?: ((done: number, all: number) => void) | undefined;
}

/** Number of questions that are answered together in shared forward passes. */
const atATime = 16;
/** Maximum size of the KV cache in bytes. One whole context is always allowed. */
const cacheBytes = 2 ** 29;

/**
 * Checks one question.
 * @param where the question's place, for the error.
 * @throws DataError if the value is not a question.
 */
export const checkQuestion = (where: string, question: unknown): ChoiceQuestion => {
  const must = 'must be like {"context": "2 + 2 =", "choices": [" 4", " 5"], "answer": 0}';
  if (!isRecord(question)) throw new DataError({ where, must, got: show(question) });
  const { context, choices, answer } = question;
  if (typeof context !== "string" || context === "")
    throw new DataError({ where, must, got: `context ${show(context)}` });
  if (!Array.isArray(choices) || choices.length < 2 || choices.some((one) => typeof one !== "string" || one === "")) {
    throw new DataError({ where, must: `${must}, with two choices or more`, got: `choices ${show(choices)}` });
  }
  if (!Number.isInteger(answer) || (answer as number) < 0 || (answer as number) >= choices.length) {
    throw new DataError({ where, must: `answer must be a number from 0 to ${choices.length - 1}`, got: show(answer) });
  }
  return { context, choices: choices as string[], answer: answer as number };
};

/** A question as token ids. */
interface TokenisedQuestion {
  readonly context: readonly number[];
  /** Context and answer, for each answer. */
  readonly texts: readonly (readonly number[])[];
}

const tokenised = (where: string, lm: LanguageModel, { context, choices }: ChoiceQuestion): TokenisedQuestion => {
  const { tokenizer, model } = lm;
  const idsOf = (text: string): readonly number[] => Array.from(withBegin(tokenizer, tokenizer.encode(text)));
  const ids = idsOf(context);
  const texts = choices.map((choice) => idsOf(context + choice));
  const longest = Math.max(...texts.map(({ length }) => length));
  if (ids.length === 0)
    throw new DataError({ where, must: "context must have at least one token", got: show(context) });
  if (texts.some(({ length }) => length <= ids.length)) {
    throw new DataError({ where, must: "each choice must add tokens to the context", got: show(choices) });
  }
  // Subtract 1, because the model does not read the last token.
  if (longest - 1 > model.config.contextLength) {
    throw new DataError({
      where,
      must: `question and choice must fit into the model's context of ${model.config.contextLength} tokens`,
      got: `${longest - 1}`,
    });
  }
  return { context: ids, texts };
};

/** ln p of the tokens of `text` from index `from`. Earlier keys and values are reused if they are in the KV cache. */
const scoreAfter = async (
  engine: SequenceEngine,
  lm: LanguageModel,
  text: readonly number[],
  from: number,
): Promise<number> => {
  let total = 0;
  let next = from;
  const read = (logits: Float32Array): void => {
    const id = text[next++] as number;
    total += probabilityAt(logits, id, softmaxSum(logits, 0, logits.length)).logProb;
  };
  await engine.write({
    model: lm.model,
    prompt: text.slice(0, -1),
    maxNewTokens: 1,
    readPrompt: read,
    readFrom: from - 1,
    choose(logits) {
      read(logits);
      return null;
    },
  }).ended;
  return total;
};

const likeliest = (values: readonly number[]): number => values.indexOf(Math.max(...values));

/**
 * Evaluates a model on multiple-choice questions. The model chooses the answer with the highest probability after the
 * context, as lm-evaluation-harness does. In lm-evaluation-harness, `accuracy` is called `acc`, and `accuracyByLength`
 * is called `acc_norm`. The length is in characters.
 *
 * @param lm a causal model of `loadPretrained` or `languageModel`.
 * @throws DataError for a question that is invalid or too long for the model; ConfigError for a model that is closed or
 * not causal; CheckpointError if the model's logits are not finite.
 * @example
 * ```ts
 * import { evaluateChoices, loadPretrained } from "foretoken";
 *
 * const lm = await loadPretrained("runs/notes/best");
 * const questions = [{ context: "The ", choices: ["the", "he"], answer: 0 }];
 * console.log((await evaluateChoices(lm, questions)).accuracy);
 * await lm.close();
 * ```
 */
export const evaluateChoices = async (
  lm: LanguageModel,
  questions: readonly ChoiceQuestion[],
  options: ChoicesOptions = {},
): Promise<ChoicesEvaluation> => {
  checkLanguageModel("evaluateChoices: model", lm, "the model's own method, lm.evaluateChoices()");
  checkKeys("evaluateChoices", options, ["signal", "onProgress"]);
  const { signal, onProgress } = options;
  checkSignal("evaluateChoices: signal", signal);
  checkCallback("evaluateChoices: onProgress", onProgress);
  if (lm.model.config.mask !== "causal") {
    throw new ConfigError({
      where: "evaluateChoices",
      must: "the model must be causal",
      got: "a model without a mask",
    });
  }
  if (!Array.isArray(questions) || questions.length === 0) {
    throw new ConfigError({
      where: "evaluateChoices: questions",
      must: "must be a list of questions",
      got: show(questions),
    });
  }
  const all = questions.map((question, i) => {
    const where = `question ${i + 1}`;
    const checked = checkQuestion(where, question);
    return { ...checked, ...tokenised(where, lm, checked) };
  });
  const engine = await whileOpen("evaluateChoices", lm.model, async () =>
    createSequenceEngine(lm.adapted(null), { cacheBytes, maxSequences: 64 }),
  );
  const results: ChoiceResult[] = [];
  let begun = 0;
  const work = async (): Promise<void> => {
    for (let index = begun++; index < all.length; index = begun++) {
      signal?.throwIfAborted();
      const { context, texts, choices, answer } = all[index] as (typeof all)[number];
      // Computes the context first and alone. The context is then in the KV cache for all answers.
      if (texts.length > 1) {
        await engine.write({ model: lm.model, prompt: context, maxNewTokens: 1, choose: () => null }).ended;
      }
      const logProbs = await Promise.all(texts.map((text) => scoreAfter(engine, lm, text, context.length)));
      const wrong = logProbs.find(Number.isNaN);
      if (wrong !== undefined) throw logitsFault("evaluateChoices", wrong);
      const byLength = logProbs.map((logProb, i) => logProb / [...(choices[i] as string)].length);
      results.push({ index, logProbs, chosen: likeliest(logProbs), chosenByLength: likeliest(byLength), answer });
      onProgress?.(results.length, all.length);
    }
  };
  try {
    await whileOpen("evaluateChoices", lm.model, () => Promise.all(Array.from({ length: atATime }, work)));
  } finally {
    await engine.close();
  }
  results.sort((a, b) => a.index - b.index);
  const share = (right: (result: ChoiceResult) => boolean): number => results.filter(right).length / results.length;
  const accuracy = share(({ chosen, answer }) => chosen === answer);
  return {
    count: results.length,
    accuracy,
    accuracyByLength: share(({ chosenByLength, answer }) => chosenByLength === answer),
    standardError: Math.sqrt((accuracy * (1 - accuracy)) / results.length),
    results,
  };
};
