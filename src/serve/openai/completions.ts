/** POST /v1/completions: https://platform.openai.com/docs/api-reference/completions */

import { z } from "zod";
import { yieldToHost } from "../../core/system/yield.ts";
import type { FinishReason } from "../../generate/events.ts";
import { withBegin } from "../../tokenizer/begin.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { invalid } from "./api-error.ts";
import { promptText } from "./api-text.ts";
import { mostChoices, samplingFields, textOptions, unusedFields, whole } from "./common-fields.ts";
import { type Answered, checkLength, checkPrompt, type Exchange, now, stream, writePieces } from "./exchange.ts";
import { honoured, readFields, refused, type Values } from "./fields.ts";
import { type ListedLogProbs, listedLogProbs, type TokenPlace, textOffsets } from "./log-probs.ts";
import { constraintOf, guidedFields } from "./response-format.ts";
import type { Lease } from "./served-models.ts";
import type { TextPiece, TextRequest } from "./texts.ts";

/** Maximum number of prompts of one request. */
const mostPrompts = 2048;
/** Maximum number of texts of one request. */
const mostTexts = 4096;
/** Maximum number of candidate tokens at each position. */
const mostLogProbs = 20;

const tokenIds = z.array(whole(0)).min(1, "must not be empty");

export const completionFields = {
  ...samplingFields,
  ...unusedFields,
  model: honoured(z.string({ error: "must be a string" }), "default: the first model of the server"),
  prompt: honoured(
    z.union(
      [
        promptText,
        tokenIds,
        z.array(promptText).min(1).max(mostPrompts, `must be at most ${mostPrompts} prompts`),
        z.array(tokenIds).min(1).max(mostPrompts, `must be at most ${mostPrompts} prompts`),
      ],
      { error: `must be a text, token ids, or a list of at most ${mostPrompts} texts or lists of token ids` },
    ),
    "a text, token ids, or a list of texts or of lists of token ids",
  ),
  max_tokens: honoured(whole(0, 1_000_000), "default 16; 0 with `echo`"),
  logprobs: honoured(whole(0, mostLogProbs), "number of most probable tokens to report for each token; default: none"),
  echo: honoured(z.boolean({ error: "must be true or false" }), "true puts the prompt before each text; default false"),
  best_of: honoured(
    whole(1, mostChoices),
    "number of texts to write; the server returns the `n` most probable texts; default `n`",
  ),
  ...guidedFields,
  suffix: refused("the server's models cannot write the text before a suffix"),
} as const;

type CompletionValues = Values<typeof completionFields>;

/** OpenAI's name for a finish reason. */
export const finishReasonOf = (reason: FinishReason): "stop" | "length" => (reason === "length" ? "length" : "stop");

/** A prompt as token ids and as text. */
interface Prompt {
  readonly ids: readonly number[];
  readonly text: string;
  /** Number of ids at the beginning that are not part of the text: 1 for a BOS token, otherwise 0. */
  readonly added: number;
}

/**
 * Reads the prompts. Between two prompts, the server can handle other requests.
 * @throws ApiError for a prompt that is empty, too long, or has ids outside the vocabulary.
 */
const readPrompts = async (
  { signal }: Exchange,
  lease: Lease,
  prompt: NonNullable<CompletionValues["prompt"]>,
): Promise<readonly Prompt[]> => {
  const { tokenizer } = lease.lm;
  const isOne = typeof prompt === "string" || typeof prompt[0] === "number";
  const given = (isOne ? [prompt] : prompt) as readonly (string | readonly number[])[];
  const prompts: Prompt[] = [];
  for (const one of given) {
    if (typeof one === "string") checkLength(lease, one, "prompt");
    const own = typeof one === "string" ? tokenizer.encode(one, "prompt") : Int32Array.from(one);
    const ids = typeof one === "string" ? Array.from(withBegin(tokenizer, own)) : one;
    checkPrompt(lease, ids, "prompt");
    prompts.push({ ids, text: tokenizer.decode(own, { showSpecialTokens: true }), added: ids.length - own.length });
    await yieldToHost();
    signal.throwIfAborted();
  }
  return prompts;
};

const countOf = (prompt: CompletionValues["prompt"]): number =>
  Array.isArray(prompt) && typeof prompt[0] !== "number" ? prompt.length : 1;

/** A choice that is being written. */
const growingChoice = (
  tokenizer: Tokenizer,
  { logprobs, echo = false, max_tokens: maxTokens = 16 }: CompletionValues,
  { ids: prompt, text: promptText, added: unwritten }: Prompt,
) => {
  const before = [...promptText].length;
  const offsetOf = textOffsets(tokenizer, echo ? 0 : before);
  let isBegun = false;
  let text = "";
  const places: TokenPlace[] = [];
  let reason: "stop" | "length" | null = null;
  let newTokens = 0;
  const listed = (some: readonly TokenPlace[]): ListedLogProbs | null =>
    logprobs === undefined ? null : listedLogProbs(tokenizer, some, logprobs, offsetOf);
  return {
    /** Adds a piece and returns the part of the piece to show. */
    take({ added, prompt: read, tokens, end }: TextPiece) {
      // With `max_tokens: 0`, the model wrote one token only to get the prompt's log-probabilities. Drop this token.
      const [fresh, words] = maxTokens === 0 ? [[], ""] : [tokens, added];
      const more = [...(echo ? read.slice(unwritten) : []), ...fresh];
      const shown = `${echo && !isBegun ? promptText : ""}${words}`;
      isBegun = true;
      text += shown;
      places.push(...more);
      if (end !== null) {
        reason = maxTokens === 0 ? "length" : finishReasonOf(end.reason);
        newTokens = maxTokens === 0 ? 0 : end.newTokens;
      }
      return { shown, more };
    },
    listed,
    all: () => ({ text, logprobs: listed(places), finish_reason: reason }),
    get newTokens() {
      return newTokens;
    },
    get reason() {
      return reason;
    },
    /** Mean log-probability of the new tokens. */
    likelihood: () => {
      const own = places.slice(echo && logprobs !== undefined ? prompt.length - unwritten : 0);
      return own.reduce((sum, { logProb }) => sum + (logProb ?? 0), 0) / Math.max(1, own.length);
    },
  };
};

type Growing = ReturnType<typeof growingChoice>;

/** The requests to the engine: `each` texts for every prompt. */
const requestsOf = (
  values: CompletionValues,
  { lm, adapter }: Lease,
  prompts: readonly Prompt[],
  each: number,
): readonly TextRequest[] => {
  const { logprobs, echo = false, max_tokens: maxTokens = 16, best_of: bestOf, n = 1 } = values;
  const options = textOptions(values, lm.tokenizer.vocabSize, each);
  const constraint = constraintOf(lm.tokenizer, undefined, "", values);
  const candidates = Math.max(logprobs ?? 0, logprobs !== undefined || (bestOf ?? n) > n ? 1 : 0);
  return prompts.flatMap(({ ids }) =>
    options.map((one) => ({
      prompt: ids,
      options: {
        ...{ ...one, adapter, candidates, constraint, maxNewTokens: Math.max(1, maxTokens) },
        scorePrompt: echo && logprobs !== undefined,
      },
    })),
  );
};

const checkTogether = (values: CompletionValues): void => {
  const { n = 1, best_of: bestOf = n, max_tokens: maxTokens, echo = false, stream: streams = false, prompt } = values;
  if (prompt === undefined) throw invalid("prompt: must be given; got none", "prompt");
  const texts = countOf(prompt) * bestOf;
  if (texts > mostTexts)
    throw invalid(`prompt: prompts times n or best_of must be at most ${mostTexts} texts; got ${texts}`, "prompt");
  if (bestOf < n) throw invalid(`best_of: must be at least n, ${n}; got ${bestOf}`, "best_of");
  if (bestOf > n && streams) throw invalid("best_of: must not exceed n in a stream; got more", "best_of");
  if (maxTokens === 0 && !echo) throw invalid("max_tokens: must be at least 1 without echo; got 0", "max_tokens");
  if (values.stream_options !== undefined && !streams)
    throw invalid("stream_options: needs stream: true; got no stream", "stream_options");
};

/** Answers a request with the parsed body `body`. */
export const answerCompletion = async (exchange: Exchange, body: unknown): Promise<Answered> => {
  const values = readFields(completionFields, body);
  checkTogether(values);
  const { n = 1, prompt = "", stream: streams = false, max_tokens: maxTokens = 16 } = values;
  const each = values.best_of ?? n;
  const lease = exchange.models.take(values.model, countOf(prompt) * each);
  const { facts } = exchange;
  try {
    facts.model = lease.name;
    const { tokenizer } = lease.lm;
    const prompts = await readPrompts(exchange, lease, prompt);
    facts.promptTokens = prompts.reduce((sum, { ids }) => sum + ids.length, 0);
    const requests = requestsOf(values, lease, prompts, each);
    const choices = prompts.flatMap((one) => Array.from({ length: each }, () => growingChoice(tokenizer, values, one)));
    const head = {
      id: `cmpl-${exchange.id}`,
      object: "text_completion",
      created: now(),
      model: lease.name,
      system_fingerprint: lease.fingerprint,
    };
    const usage = () => {
      const completion = choices.reduce((sum, choice) => sum + choice.newTokens, 0);
      return {
        prompt_tokens: facts.promptTokens,
        completion_tokens: completion,
        total_tokens: facts.promptTokens + completion,
      };
    };
    const pieces = writePieces(exchange, lease, requests);
    if (streams) {
      const withUsage = values.stream_options?.include_usage === true;
      return await stream(
        exchange,
        async (events) => {
          for await (const piece of pieces) {
            const choice = choices[piece.text] as Growing;
            const { shown, more } = choice.take(piece);
            // There is nothing to show yet, for example because only some bytes of a character were written.
            if (shown === "" && more.length === 0 && piece.end === null) continue;
            const told = {
              text: shown,
              index: piece.text,
              logprobs: choice.listed(more),
              finish_reason: choice.reason,
            };
            await events.write({ ...head, choices: [told], ...(withUsage ? { usage: null } : {}) });
          }
          if (withUsage) await events.write({ ...head, choices: [], usage: usage() });
        },
        "data: [DONE]\n\n",
      );
    }
    for await (const piece of pieces) choices[piece.text]?.take(piece);
    if (maxTokens === 0) facts.newTokens = 0;
    const best = prompts.flatMap((_, p) => {
      const of = choices.slice(p * each, (p + 1) * each);
      const ranked = each === n ? of : of.toSorted((a, b) => b.likelihood() - a.likelihood());
      return ranked.slice(0, n);
    });
    const listed = best.map((choice, index) => {
      const { text, ...rest } = choice.all();
      return { text, index, ...rest };
    });
    return { json: { ...head, choices: listed, usage: usage() } };
  } finally {
    lease.release();
  }
};
