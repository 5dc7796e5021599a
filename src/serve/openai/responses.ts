/**
 * POST /v1/responses, as far as texts go: https://platform.openai.com/docs/api-reference/responses. Nothing is kept: a conversation
 * comes whole with each request.
 */
import { z } from "zod";
import { invalid } from "./api-error.ts";
import { conversationTokens, mostTopLogProbs, roomFor, withoutEnd } from "./chat-completions.ts";
import { samplingFields, textOptions, unusedFields, whole } from "./common-fields.ts";
import { finishReasonOf, promptText } from "./completions.ts";
import { type Answered, checkPrompt, type Exchange, now, stream, writePieces } from "./exchange.ts";
import { atDefault, honoured, readFields, refused, unused, type Values } from "./fields.ts";
import { type TokenPlace, tokenLogProbs } from "./log-probs.ts";
import { conversationOf, responseInput } from "./messages.ts";
import { constraintOf, responseFormat } from "./response-format.ts";
import type { Lease } from "./served-models.ts";
import type { TextPiece } from "./texts.ts";

const { temperature, top_p, stream: streamField, seed, top_k, min_p, typical_p, repetition_penalty } = samplingFields;
/** What may be asked to be told besides. */
const logProbsIncluded = "message.output_text.logprobs";

export const responseFields = {
  ...{ temperature, top_p, stream: streamField, seed, top_k, min_p, typical_p, repetition_penalty },
  ...unusedFields,
  model: honoured(z.string({ error: "must be a text" }), "default: the first model of the server"),
  input: honoured(responseInput, "a text, or messages whose parts are texts"),
  instructions: honoured(promptText, "what the model is told before the conversation"),
  max_output_tokens: honoured(whole(1, 1_000_000), "default: up to the end of the context"),
  top_logprobs: honoured(whole(0, mostTopLogProbs), "so many likeliest tokens with each token"),
  include: honoured(
    z.array(
      z.enum([logProbsIncluded, "reasoning.encrypted_content"], {
        error: `must be ${logProbsIncluded} or reasoning.encrypted_content`,
      }),
    ),
    "log-probabilities of the answer's tokens; there is no reasoning that could be included",
  ),
  stream_options: honoured(z.strictObject({ include_obfuscation: z.boolean().nullish() }), "lengths are not hidden"),
  // Nothing is kept, whichever is asked for: no request can refer to another.
  store: unused("nothing is kept"),
  background: atDefault([false], "answers are waited for"),
  text: honoured(
    z.strictObject({
      format: responseFormat.nullish(),
      verbosity: z.literal("medium", { error: "must be medium: no model here has a setting for it" }).nullish(),
    }),
    "`format`: `text`, `json_object`, or `json_schema`, whose keywords are all obeyed or refused by name",
  ),
  truncation: atDefault(["disabled"], "nothing is left out"),
  tools: atDefault([[]], "no tools"),
  tool_choice: atDefault(["none", "auto"], "no tools"),
  parallel_tool_calls: unused("no tools"),
  max_tool_calls: unused("no tools"),
  service_tier: atDefault(["auto", "default"], "there is one"),
  previous_response_id: refused("nothing is kept: send the whole conversation"),
  conversation: refused("nothing is kept: send the whole conversation"),
  prompt: refused("no prompts are kept"),
  reasoning: refused("no model here has a setting for it"),
} as const;

type ResponseValues = Values<typeof responseFields>;

const messagesOf = (values: ResponseValues) => {
  const { input, instructions, stream: streams, stream_options: options, top_logprobs: top, include } = values;
  if (input === undefined) throw invalid("input: must be there; got none", "input");
  if (top !== undefined && include?.includes(logProbsIncluded) !== true)
    throw invalid(`top_logprobs: must go with include: ["${logProbsIncluded}"]; got it alone`, "top_logprobs");
  if (options !== undefined && streams !== true)
    throw invalid("stream_options: must go with stream: true; got no stream", "stream_options");
  const own = typeof input === "string" ? [{ role: "user" as const, content: input }] : input;
  const first = instructions === undefined ? [] : [{ role: "system" as const, content: instructions }];
  return conversationOf([...first, ...own.map(({ role, content }) => ({ role, content }))], "input");
};

/** The parts of an answer that grows. */
const growingAnswer = (exchange: Exchange, lease: Lease, values: ResponseValues, promptTokens: number) => {
  const created = now();
  const withLogProbs = values.include?.includes(logProbsIncluded) === true;
  const itemId = `msg_${exchange.id}`;
  const state = { text: "", tokens: [] as TokenPlace[], newTokens: 0, reason: "stop" as "stop" | "length" };
  const told = (tokens: readonly TokenPlace[]) =>
    withLogProbs ? tokenLogProbs(lease.lm.tokenizer, withoutEnd(lease, tokens), values.top_logprobs ?? 0) : [];
  const part = () => ({ type: "output_text", text: state.text, annotations: [], logprobs: told(state.tokens) });
  const item = (status: string, content: readonly object[]) => ({
    ...{ id: itemId, type: "message", status, role: "assistant", content },
  });
  const statusAtEnd = () => (state.reason === "length" ? "incomplete" : "completed");
  const response = (status: string, output: readonly object[], ended: boolean) => ({
    ...{ id: `resp_${exchange.id}`, object: "response", created_at: created, status, model: lease.name, output },
    ...{ error: null, instructions: values.instructions ?? null, metadata: {}, parallel_tool_calls: true },
    ...{ incomplete_details: ended && state.reason === "length" ? { reason: "max_output_tokens" } : null },
    ...{ max_output_tokens: values.max_output_tokens ?? null, previous_response_id: null, store: false },
    ...{ temperature: values.temperature ?? 1, top_p: values.top_p ?? 1, tool_choice: "auto", tools: [] },
    ...{ text: { format: values.text?.format ?? { type: "text" } }, truncation: "disabled" },
    usage: ended
      ? {
          input_tokens: promptTokens,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens: state.newTokens,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: promptTokens + state.newTokens,
        }
      : null,
  });
  return { state, told, part, item, itemId, statusAtEnd, response, withLogProbs };
};

/** Answers the request with the body `body`. */
export const answerResponse = async (exchange: Exchange, body: unknown): Promise<Answered> => {
  const values = readFields(responseFields, body);
  const messages = messagesOf(values);
  const lease = exchange.models.take(values.model, 1);
  const { facts } = exchange;
  try {
    facts.model = lease.name;
    const prompt = await conversationTokens(exchange, lease, messages, "input");
    checkPrompt(lease, prompt, "input");
    facts.promptTokens = prompt.length;
    const growing = growingAnswer(exchange, lease, values, prompt.length);
    const { state, told, part, item, itemId, statusAtEnd, response, withLogProbs } = growing;
    const candidates = withLogProbs ? Math.max(1, values.top_logprobs ?? 0) : 0;
    const maxNewTokens = roomFor(lease, prompt, values.max_output_tokens);
    const constraint = constraintOf(lease.lm.tokenizer, values.text?.format ?? undefined, "text.format");
    const requests = textOptions(values, lease.lm.tokenizer.vocabSize, 1).map((options) => ({
      prompt,
      options: { ...options, adapter: lease.adapter, maxNewTokens, constraint, candidates },
    }));
    const pieces = writePieces(exchange, lease, requests);
    const take = ({ added, tokens, end }: TextPiece): void => {
      state.text += added;
      state.tokens.push(...tokens);
      if (end === null) return;
      state.newTokens = end.newTokens;
      state.reason = finishReasonOf(end.reason);
    };
    if (values.stream !== true) {
      for await (const piece of pieces) take(piece);
      return { json: response(statusAtEnd(), [item(statusAtEnd(), [part()])], true) };
    }
    let number = 0;
    const place = { item_id: itemId, output_index: 0, content_index: 0 };
    return await stream(
      exchange,
      async (events) => {
        const send = (type: string, more: object): Promise<void> =>
          events.write({ type, sequence_number: number++, ...more }, type);
        await send("response.created", { response: response("in_progress", [], false) });
        await send("response.in_progress", { response: response("in_progress", [], false) });
        await send("response.output_item.added", { output_index: 0, item: item("in_progress", []) });
        const empty = { type: "output_text", text: "", annotations: [], logprobs: [] };
        await send("response.content_part.added", { ...place, part: empty });
        for await (const piece of pieces) {
          take(piece);
          const { added, tokens } = piece;
          // Of a part of a character there is nothing to show, but a log-probability.
          if (added !== "" || (withLogProbs && tokens.length > 0))
            await send("response.output_text.delta", { ...place, delta: added, logprobs: told(tokens) });
        }
        const whole = part();
        await send("response.output_text.done", { ...place, text: state.text, logprobs: whole.logprobs });
        await send("response.content_part.done", { ...place, part: whole });
        const ended = item(statusAtEnd(), [whole]);
        await send("response.output_item.done", { output_index: 0, item: ended });
        await send(`response.${statusAtEnd()}`, { response: response(statusAtEnd(), [ended], true) });
      },
      "",
      ({ error }) => ({
        event: "error",
        data: {
          type: "error",
          sequence_number: number++,
          code: error.code,
          message: error.message,
          param: error.param,
        },
      }),
    );
  } finally {
    lease.release();
  }
};
