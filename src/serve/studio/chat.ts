/** Conversations with models that have a chat template, one answer at a time. */
import { conversationPrompt } from "../../chat/conversation.node.ts";
import type { TemplateRenderer } from "../../chat/template.node.ts";
import { systemOfTemplate } from "../../chat/template-system.node.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import type { GenerateEvent } from "../../generate/events.ts";
import { parseGenerateOptions } from "../../generate/options.ts";
import { chatTemplateText } from "../../pretrained/has-chat-template.node.ts";
import { type TokenBytes, textStream } from "../../tokenizer/text-stream.ts";
import type { ServerEvent } from "../http/sse.ts";
import type { ChatEvent, ChatRequest, SystemAnswer } from "./protocol.ts";
import { checkIds, inItsTurn, runsMeanwhile, type WritingParts } from "./writing.ts";

export interface ChatParts extends WritingParts {
  /** Renders conversations in a process that is reused. */
  readonly templates: TemplateRenderer;
}

/**
 * Events of an answer that continues after the tokens `ids`. If the last of these tokens ends inside a character, the
 * next tokens complete the character.
 * @param ids tokens of the answer so far.
 */
export async function* goingOn(
  tokenizer: TokenBytes,
  ids: readonly number[],
  events: AsyncIterable<GenerateEvent>,
): AsyncGenerator<GenerateEvent, void, undefined> {
  const [stream, probe] = [textStream(tokenizer), textStream(tokenizer)];
  for (const id of ids) for (const one of [stream, probe]) one.push(id);
  let isWithin = probe.end() !== "";
  let text = "";
  for await (const event of events) {
    if (event.type === "done") yield { ...event, text };
    else {
      const shown = isWithin ? stream.push(event.id) : event.text;
      if (shown !== "") isWithin = false;
      text += shown;
      yield { ...event, text: shown };
    }
  }
}

async function* events(
  parts: ChatParts,
  place: string,
  { messages, answerIds = [], settings = {}, candidates = 0 }: ChatRequest,
  signal: AbortSignal,
): AsyncGenerator<ChatEvent, void, undefined> {
  const model = await parts.models.load(place, { headsOff: [], signal });
  if (model.chatTemplate === null) {
    throw new ConfigError({
      where: "model",
      must: "must have a chat template (models trained on conversations have one)",
      got: "none",
      hint: "the playground, or another model",
    });
  }
  checkIds(answerIds, model.tokenizer, "answerIds");
  const { maxNewTokens } = parseGenerateOptions({ ...settings, prompt: [] });
  const { render } = parts.templates;
  const prompt = await conversationPrompt(model, messages, maxNewTokens, "model", { render, answer: answerIds });
  const { ids, dropped } = prompt;
  const { parameters } = model;
  yield { type: "begin", parameters, promptTokens: ids.length, leftOut: dropped, ...(await runsMeanwhile(parts)) };
  yield* goingOn(model.tokenizer, answerIds, model.generate({ ...settings, prompt: ids, candidates, signal }));
}

/** The system message that the chat template of the model at `place` adds. The model is not loaded. */
export const addedSystem = async (
  { templates }: Pick<ChatParts, "templates">,
  place: string,
): Promise<SystemAnswer> => {
  const template = await chatTemplateText(place);
  if (typeof template !== "string") return { added: null };
  // Both texts begin and end with the same tokens, so their names do not matter.
  const added = await systemOfTemplate({ template, bosToken: "", eosToken: "" }, templates.render);
  return { added: added === undefined ? null : (added ?? "") };
};

/** Answers the last message of a conversation. @param place place of the model. */
export const answerChat = (
  parts: ChatParts,
  place: string,
  request: ChatRequest,
  outer: AbortSignal,
): AsyncGenerator<readonly ServerEvent[], void, undefined> =>
  inItsTurn(parts, (signal) => events(parts, place, request, signal), outer);
