/**
 * POST /v1/responses, for texts only: https://platform.openai.com/docs/api-reference/responses. The server stores
 * nothing, so each request must contain the whole conversation.
 */
import { z } from "zod";
import { parametersOf, type Tool, type ToolChoice } from "../../chat/tools/tools.ts";
import { answerText } from "./answer-text.ts";
import { invalid } from "./api-error.ts";
import { promptText } from "./api-text.ts";
import { conversationTokens, mostTopLogProbs, roomFor, withoutEnd } from "./chat-completions.ts";
import { samplingFields, textOptions, unusedFields, whole } from "./common-fields.ts";
import { type Answered, checkPrompt, type Exchange, now, stream, writePieces } from "./exchange.ts";
import { atDefault, honoured, readFields, refused, unused, type Values } from "./fields.ts";
import { type TokenPlace, tokenLogProbs } from "./log-probs.ts";
import { responseInput } from "./messages.ts";
import { constraintOf, responseFormat } from "./response-format.ts";
import { type ItemEvent, responseItems } from "./response-items.ts";
import type { Lease } from "./served-models.ts";
import type { TextPiece } from "./texts.ts";
import { responseToolField, responseToolFields, toldTools, turnOf } from "./tools.ts";

const { temperature, top_p, stream: streamField, seed, top_k, min_p, typical_p, repetition_penalty } = samplingFields;
/** Value of `include` that adds log-probabilities. */
const logProbsIncluded = "message.output_text.logprobs";

export const responseFields = {
  ...{ temperature, top_p, stream: streamField, seed, top_k, min_p, typical_p, repetition_penalty },
  ...unusedFields,
  model: honoured(z.string({ error: "must be a string" }), "default: the first model of the server"),
  input: honoured(
    responseInput,
    "a text, or a list of messages, tool calls and their results; all parts must be texts",
  ),
  instructions: honoured(promptText, "system message before the conversation"),
  max_output_tokens: honoured(whole(1, 1_000_000), "default: up to the end of the context"),
  top_logprobs: honoured(whole(0, mostTopLogProbs), "number of most probable tokens to report for each token"),
  include: honoured(
    z.array(
      z.enum([logProbsIncluded, "reasoning.encrypted_content"], {
        error: `must be ${logProbsIncluded} or reasoning.encrypted_content`,
      }),
    ),
    "adds log-probabilities of the answer's tokens; encrypted reasoning is accepted, but the server's models write no reasoning",
  ),
  stream_options: honoured(
    z.strictObject({ include_obfuscation: z.boolean().nullish() }),
    "accepted, but events get no padding",
  ),
  // The server never stores responses, even if `store` is true. No request can refer to an earlier response.
  store: unused("the server stores nothing"),
  background: atDefault([false], "the server has no background mode"),
  text: honoured(
    z.strictObject({
      format: responseFormat.nullish(),
      verbosity: z
        .literal("medium", { error: "must be medium: the server's models do not have this setting" })
        .nullish(),
    }),
    "`format`: `text`, `json_object` or `json_schema`; the server obeys every keyword of a schema, or names the keyword that it refuses",
  ),
  truncation: atDefault(["disabled"], "the server never drops messages of a conversation"),
  ...responseToolFields,
  max_tool_calls: unused("it limits tools that the server runs, but the server runs no tools"),
  service_tier: atDefault(["auto", "default"], "the server has only one service tier"),
  previous_response_id: refused("the server stores nothing: send the whole conversation"),
  conversation: refused("the server stores nothing: send the whole conversation"),
  prompt: refused("the server stores no prompts"),
  reasoning: refused("the server's models do not have this setting"),
} as const;

type ResponseValues = Values<typeof responseFields>;

const messagesOf = (values: ResponseValues) => {
  const { input, instructions, stream: streams, stream_options: options, top_logprobs: top, include } = values;
  if (input === undefined) throw invalid("input: must be given; got none", "input");
  if (top !== undefined && include?.includes(logProbsIncluded) !== true)
    throw invalid(`top_logprobs: needs include: ["${logProbsIncluded}"]; got no such include`, "top_logprobs");
  if (options !== undefined && streams !== true)
    throw invalid("stream_options: needs stream: true; got no stream", "stream_options");
  return instructions === undefined ? input : [{ role: "system" as const, content: instructions }, ...input];
};

/** A tool in the format of the response. */
const toldTool = (tool: Tool): object => ({
  ...{ type: "function", name: tool.name, description: tool.description ?? null, parameters: parametersOf(tool) },
  strict: true,
});

const toldChoice = (choice: ToolChoice = "auto"): unknown =>
  typeof choice === "string" ? choice : { type: "function", name: choice.name };

/** Returns a function that makes the response object with a given status. */
const responseWriter = (exchange: Exchange, lease: Lease, values: ResponseValues, promptTokens: number) => {
  const created = now();
  return (status: string, output: readonly object[], newTokens: number | null) => ({
    ...{ id: `resp_${exchange.id}`, object: "response", created_at: created, status, model: lease.name, output },
    ...{ error: null, instructions: values.instructions ?? null, metadata: {} },
    parallel_tool_calls: values.parallel_tool_calls ?? true,
    ...{ incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null },
    ...{ max_output_tokens: values.max_output_tokens ?? null, previous_response_id: null, store: false },
    ...{ temperature: values.temperature ?? 1, top_p: values.top_p ?? 1 },
    ...{ tool_choice: toldChoice(values.tool_choice), tools: (values.tools ?? []).map(toldTool) },
    ...{ text: { format: values.text?.format ?? { type: "text" } }, truncation: "disabled" },
    usage:
      newTokens === null
        ? null
        : {
            input_tokens: promptTokens,
            input_tokens_details: { cached_tokens: 0 },
            output_tokens: newTokens,
            output_tokens_details: { reasoning_tokens: 0 },
            total_tokens: promptTokens + newTokens,
          },
  });
};

/** Answers a request with the parsed body `body`. */
export const answerResponse = async (exchange: Exchange, body: unknown): Promise<Answered> => {
  const values = readFields(responseFields, body);
  const messages = messagesOf(values);
  const lease = exchange.models.take(values.model, 1);
  const { facts } = exchange;
  try {
    facts.model = lease.name;
    const { tokenizer } = lease.lm;
    const own = constraintOf(tokenizer, values.text?.format ?? undefined, "text.format");
    const turn = await turnOf(exchange, lease, values, own, responseToolField);
    const prompt = await conversationTokens(exchange, lease, messages, toldTools(values, responseToolField), "input");
    checkPrompt(lease, prompt, "input");
    facts.promptTokens = prompt.length;
    const response = responseWriter(exchange, lease, values, prompt.length);
    const withLogProbs = values.include?.includes(logProbsIncluded) === true;
    const candidates = withLogProbs ? Math.max(1, values.top_logprobs ?? 0) : 0;
    const maxNewTokens = roomFor(lease, prompt, values.max_output_tokens);
    const constraint = turn?.constraint ?? own;
    const showSpecialTokens = turn !== undefined;
    const requests = textOptions(values, tokenizer.vocabSize, 1).map((options) => ({
      prompt,
      options: { ...options, adapter: lease.adapter, maxNewTokens, constraint, showSpecialTokens, candidates },
    }));
    const pieces = writePieces(exchange, lease, requests);
    const answer = answerText(lease, turn);
    const items = responseItems(exchange.id);
    const all: TokenPlace[] = [];
    let newTokens = 0;
    const told = (tokens: readonly TokenPlace[]) =>
      withLogProbs ? tokenLogProbs(tokenizer, withoutEnd(lease, tokens), values.top_logprobs ?? 0) : [];
    const take = (piece: TextPiece): readonly ItemEvent[] => {
      all.push(...piece.tokens);
      newTokens += piece.end?.newTokens ?? 0;
      return items.take(answer.take(piece), told(piece.tokens));
    };
    const status = (): string => (answer.reason() === "length" ? "incomplete" : "completed");
    // Without tools, the answer is always a message.
    const first = turn === undefined ? items.begin() : [];
    if (values.stream !== true) {
      for await (const piece of pieces) take(piece);
      items.end(status(), []);
      return { json: response(status(), items.output(status(), told(all)), newTokens) };
    }
    let number = 0;
    return await stream(
      exchange,
      async (events) => {
        const send = (type: string, more: object): Promise<void> =>
          events.write({ type, sequence_number: number++, ...more }, type);
        const sendAll = async (some: readonly ItemEvent[]): Promise<void> => {
          for (const [type, more] of some) await send(type, more);
        };
        await send("response.created", { response: response("in_progress", [], null) });
        await send("response.in_progress", { response: response("in_progress", [], null) });
        await sendAll(first);
        for await (const piece of pieces) await sendAll(take(piece));
        await sendAll(items.end(status(), told(all)));
        const output = items.output(status(), told(all));
        await send(`response.${status()}`, { response: response(status(), output, newTokens) });
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
