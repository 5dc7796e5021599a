/** POST /v1/chat/completions: https://platform.openai.com/docs/api-reference/chat */
import { z } from "zod";
import { conversationIds } from "../../chat/conversation.node.ts";
import type { RenderTemplate } from "../../chat/template.node.ts";
import { type ToolMessage, templateMessages } from "../../chat/tools/tools.ts";
import type { ToolTurn } from "../../chat/tools/turn.ts";
import type { Constraint } from "../../generate/constraint/constraint.ts";
import { type AnswerPart, type AnswerText, answerText } from "./answer-text.ts";
import { invalid } from "./api-error.ts";
import { samplingFields, textOptions, unusedFields, whole } from "./common-fields.ts";
import { type Answered, checkLength, checkPrompt, type Exchange, now, stream, writePieces } from "./exchange.ts";
import { atDefault, honoured, readFields, refused, type Values } from "./fields.ts";
import { type TokenPlace, tokenLogProbs } from "./log-probs.ts";
import { chatMessages, checkConversation } from "./messages.ts";
import { chatFormat, constraintOf, guidedFields } from "./response-format.ts";
import type { Lease } from "./served-models.ts";
import type { TextRequest } from "./texts.ts";
import { chatToolField, chatToolFields, toldTools, turnOf } from "./tools.ts";

/** Maximum number of candidate tokens at each position. */
export const mostTopLogProbs = 20;

export const chatFields = {
  ...samplingFields,
  ...unusedFields,
  model: honoured(z.string({ error: "must be a string" }), "default: the first model of the server"),
  messages: honoured(
    chatMessages,
    "messages of system, developer, user, assistant and tool, with texts and tool calls",
  ),
  max_tokens: honoured(whole(1, 1_000_000), "default: up to the end of the context"),
  max_completion_tokens: honoured(
    whole(1, 1_000_000),
    "like `max_tokens`; if both fields are given, the smaller value applies",
  ),
  logprobs: honoured(z.boolean({ error: "must be true or false" }), "default false"),
  top_logprobs: honoured(
    whole(0, mostTopLogProbs),
    "number of most probable tokens to report for each token; default 0",
  ),
  store: atDefault([false], "the server stores nothing"),
  response_format: honoured(
    chatFormat,
    "`text`, `json_object` or `json_schema`; the server obeys every keyword of a schema, or names the keyword that it refuses; default `text`",
  ),
  ...guidedFields,
  ...chatToolFields,
  functions: atDefault([[]], "use `tools` instead"),
  function_call: atDefault(["none", "auto"], "use `tool_choice` instead"),
  modalities: atDefault([["text"]], "answers contain only text"),
  audio: refused("answers contain only text"),
  prediction: refused("the server cannot use predicted outputs"),
  reasoning_effort: refused("the server's models do not have this setting"),
  verbosity: atDefault(["medium"], "the server's models do not have this setting"),
  service_tier: atDefault(["auto", "default"], "the server has only one service tier"),
  web_search_options: refused("there is no web search"),
  moderation: refused("there is no moderation"),
} as const;

type ChatValues = Values<typeof chatFields>;

/** The tokens of a conversation, up to the beginning of the answer. */
export const conversationTokens = async (
  { signal }: Exchange,
  lease: Lease,
  messages: readonly ToolMessage[],
  tools: readonly unknown[],
  param: string,
): Promise<readonly number[]> => {
  const { lm, name, templates } = lease;
  if (lm.chatTemplate === null) {
    throw invalid(
      `model: ${name} has no chat template, so it cannot answer conversations; try /v1/completions, or a model that was trained on conversations`,
      "model",
    );
  }
  checkConversation(messages, param);
  checkLength(lease, messages.map(({ content }) => content).join(""), param);
  if (tools.length > 0) checkLength(lease, JSON.stringify(tools), "tools");
  const render: RenderTemplate = (template, given, where, told) =>
    templates.render(template, given, where, told, signal);
  return Array.from(await conversationIds(lm, templateMessages(messages, param), param, render, tools));
};

/**
 * Maximum number of tokens of an answer: the smallest limit in the request. Without a limit, the number is the
 * remaining length of the context.
 */
export const roomFor = ({ lm }: Lease, ids: readonly number[], ...asked: readonly (number | undefined)[]): number => {
  const given = asked.filter((most) => most !== undefined);
  return given.length > 0 ? Math.min(...given) : Math.max(1, lm.config.contextLength - ids.length);
};

/** Remove the token that ends the turn, because this token is not part of the answer. */
export const withoutEnd = ({ lm }: Lease, tokens: readonly TokenPlace[]): readonly TokenPlace[] =>
  tokens.filter(({ id }) => !lm.endTokens.includes(id));

const checkTogether = (values: ChatValues): void => {
  if (values.messages === undefined) throw invalid("messages: must be given; got none", "messages");
  if (values.top_logprobs !== undefined && values.logprobs !== true)
    throw invalid("top_logprobs: needs logprobs: true; got no logprobs", "top_logprobs");
  if (values.stream_options !== undefined && values.stream !== true)
    throw invalid("stream_options: needs stream: true; got no stream", "stream_options");
};

/** The requests to the engine, one for each text. @param own the constraint that the request itself sets. */
const requestsOf = (
  values: ChatValues,
  lease: Lease,
  prompt: readonly number[],
  turn: ToolTurn | undefined,
  own: Constraint | undefined,
): readonly TextRequest[] => {
  const { n = 1, logprobs = false, top_logprobs: top = 0 } = values;
  const maxNewTokens = roomFor(lease, prompt, values.max_tokens, values.max_completion_tokens);
  const { adapter, lm } = lease;
  const constraint = turn?.constraint ?? own;
  const showSpecialTokens = turn !== undefined;
  return textOptions(values, lm.tokenizer.vocabSize, n).map((one) => ({
    prompt,
    options: {
      ...one,
      adapter,
      maxNewTokens,
      constraint,
      showSpecialTokens,
      candidates: logprobs ? Math.max(1, top) : 0,
    },
  }));
};

/** The delta of a streamed message for a part of the answer. */
const deltaOf = (part: AnswerPart): object => {
  if (part.kind === "text") return { content: part.text };
  const { index } = part;
  if (part.kind === "arguments") return { tool_calls: [{ index, function: { arguments: part.text } }] };
  const { id, name } = part.call;
  return { tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] };
};

const messageOf = ({ content, calls }: AnswerText): object => ({
  ...{
    role: "assistant",
    content: calls.length > 0 && content === "" ? null : content,
    refusal: null,
    annotations: [],
  },
  ...(calls.length === 0
    ? {}
    : {
        tool_calls: calls.map(({ id, name, arguments: json }) => ({
          ...{ id, type: "function", function: { name, arguments: json } },
        })),
      }),
});

/** Answers a request with the parsed body `body`. */
export const answerChat = async (exchange: Exchange, body: unknown): Promise<Answered> => {
  const values = readFields(chatFields, body);
  checkTogether(values);
  const { n = 1, messages = [], logprobs = false, top_logprobs: top = 0 } = values;
  const lease = exchange.models.take(values.model, n);
  const { facts } = exchange;
  try {
    facts.model = lease.name;
    const { tokenizer } = lease.lm;
    const own = constraintOf(tokenizer, values.response_format, "response_format", values);
    const turn = await turnOf(exchange, lease, values, own, chatToolField);
    const prompt = await conversationTokens(exchange, lease, messages, toldTools(values, chatToolField), "messages");
    checkPrompt(lease, prompt, "messages");
    facts.promptTokens = prompt.length;
    const requests = requestsOf(values, lease, prompt, turn, own);
    const told = (tokens: readonly TokenPlace[]) =>
      logprobs ? { content: tokenLogProbs(tokenizer, withoutEnd(lease, tokens), top), refusal: null } : null;
    const head = (object: string) => ({
      ...{ id: `chatcmpl-${exchange.id}`, object, created, model: lease.name },
      system_fingerprint: lease.fingerprint,
    });
    const created = now();
    let completion = 0;
    const usage = () => ({
      prompt_tokens: prompt.length,
      completion_tokens: completion,
      total_tokens: prompt.length + completion,
    });
    const pieces = writePieces(exchange, lease, requests);
    const texts = requests.map(() => ({ answer: answerText(lease, turn), tokens: [] as TokenPlace[] }));
    const textOf = (text: number) => texts[text] as (typeof texts)[number];
    if (values.stream === true) {
      const withUsage = values.stream_options?.include_usage === true;
      const none = withUsage ? { usage: null } : {};
      const chunk = (index: number, delta: object, logs: object | null, reason: string | null) => ({
        ...head("chat.completion.chunk"),
        choices: [{ index, delta, logprobs: logs, finish_reason: reason }],
        ...none,
      });
      const begin = { role: "assistant", content: turn === undefined ? "" : null, refusal: null };
      return await stream(
        exchange,
        async (events) => {
          for (let i = 0; i < n; i++) await events.write(chunk(i, begin, null, null));
          for await (const piece of pieces) {
            const { text, tokens, end } = piece;
            const { answer } = textOf(text);
            const some = withoutEnd(lease, tokens);
            const deltas = answer.take(piece).map(deltaOf);
            // A token that is only a part of a character has a log-probability but no text yet.
            if (deltas.length === 0 && logprobs && some.length > 0) deltas.push({ content: "" });
            for (const [i, delta] of deltas.entries())
              await events.write(chunk(text, delta, i === 0 ? told(some) : null, null));
            if (end === null) continue;
            completion += end.newTokens;
            await events.write(chunk(text, {}, null, answer.reason()));
          }
          if (withUsage) await events.write({ ...head("chat.completion.chunk"), choices: [], usage: usage() });
        },
        "data: [DONE]\n\n",
      );
    }
    for await (const piece of pieces) {
      const { answer, tokens } = textOf(piece.text);
      answer.take(piece);
      tokens.push(...piece.tokens);
      completion += piece.end?.newTokens ?? 0;
    }
    const choices = texts.map(({ answer, tokens }, index) => ({
      index,
      message: messageOf(answer),
      logprobs: told(tokens),
      finish_reason: answer.reason(),
    }));
    return { json: { ...head("chat.completion"), choices, usage: usage() } };
  } finally {
    lease.release();
  }
};
