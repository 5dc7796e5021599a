/** The items of a response (messages and tool calls) while the model writes them, with their stream events. */
import type { AnswerCall, AnswerPart } from "./answer-text.ts";

/** A stream event, with its type and its other fields. */
export type ItemEvent = readonly [type: string, more: object];

/** A message of the answer. */
interface MessageItem {
  readonly kind: "message";
  readonly id: string;
  text: string;
}

interface CallItem {
  readonly kind: "call";
  readonly id: string;
  readonly call: AnswerCall;
}

/** Log-probabilities of an answer's tokens, in the protocol's format. */
type LogProbs = readonly object[];

/** The items of a response. */
export interface ResponseItems {
  /** Begins a message at once. Use this function if the answer is always a text. */
  begin(): readonly ItemEvent[];
  /** Adds parts of the answer. @param logProbs log-probabilities of the tokens in `parts`. */
  take(parts: readonly AnswerPart[], logProbs: LogProbs): readonly ItemEvent[];
  /** Ends the last item. @param status status of the last item. @param logProbs log-probabilities of all tokens. */
  end(status: string, logProbs: LogProbs): readonly ItemEvent[];
  /** All items. The items are complete after `end`. */
  output(status: string, logProbs: LogProbs): readonly object[];
}

/** @param id id of the request. The ids of the items contain it. */
export const responseItems = (id: string): ResponseItems => {
  const items: (MessageItem | CallItem)[] = [];
  const place = (): object => ({ item_id: items.at(-1)?.id, output_index: items.length - 1 });
  const partOf = ({ text }: MessageItem, logprobs: LogProbs): object => ({
    ...{ type: "output_text", text, annotations: [], logprobs },
  });
  const itemOf = (item: MessageItem | CallItem, status: string, logProbs: LogProbs): object =>
    item.kind === "message"
      ? { id: item.id, type: "message", status, role: "assistant", content: [partOf(item, logProbs)] }
      : {
          ...{ id: item.id, type: "function_call", status, call_id: item.call.id, name: item.call.name },
          arguments: item.call.arguments,
        };
  const added = (item: object): ItemEvent => ["response.output_item.added", { output_index: items.length - 1, item }];
  const beginMessage = (): readonly ItemEvent[] => {
    const number = items.length === 0 ? "" : `_${items.length}`;
    const item: MessageItem = { kind: "message", id: `msg_${id}${number}`, text: "" };
    items.push(item);
    const empty = { id: item.id, type: "message", status: "in_progress", role: "assistant", content: [] };
    return [added(empty), ["response.content_part.added", { ...place(), content_index: 0, part: partOf(item, []) }]];
  };
  const beginCall = (call: AnswerCall): readonly ItemEvent[] => {
    const item: CallItem = { kind: "call", id: `fc_${id}_${items.length}`, call };
    items.push(item);
    return [added(itemOf({ ...item, call: { ...call, arguments: "" } }, "in_progress", []))];
  };
  const endLast = (status: string, logProbs: LogProbs): readonly ItemEvent[] => {
    const item = items.at(-1);
    if (item === undefined) return [];
    const done: ItemEvent = [
      "response.output_item.done",
      { output_index: items.length - 1, item: itemOf(item, status, logProbs) },
    ];
    if (item.kind === "call") {
      const { name, arguments: json } = item.call;
      return [["response.function_call_arguments.done", { ...place(), name, arguments: json }], done];
    }
    const at = { ...place(), content_index: 0 };
    return [
      ["response.output_text.done", { ...at, text: item.text, logprobs: logProbs }],
      ["response.content_part.done", { ...at, part: partOf(item, logProbs) }],
      done,
    ];
  };
  return {
    begin: beginMessage,
    take(parts, logProbs) {
      const events: ItemEvent[] = [];
      const say = (text: string, logprobs: LogProbs): void => {
        if (items.at(-1)?.kind !== "message") events.push(...endLast("completed", []), ...beginMessage());
        const item = items.at(-1);
        if (item?.kind === "message") item.text += text;
        events.push(["response.output_text.delta", { ...place(), content_index: 0, delta: text, logprobs }]);
      };
      // A token that is only a part of a character has a log-probability but no text yet.
      if (parts.length === 0 && logProbs.length > 0 && items.at(-1)?.kind === "message") say("", logProbs);
      for (const [i, part] of parts.entries()) {
        if (part.kind === "text") say(part.text, i === 0 ? logProbs : []);
        else if (part.kind === "call") events.push(...endLast("completed", []), ...beginCall(part.call));
        else events.push(["response.function_call_arguments.delta", { ...place(), delta: part.text }]);
      }
      return events;
    },
    end: (status, logProbs) =>
      items.length === 0 ? [...beginMessage(), ...endLast(status, logProbs)] : endLast(status, logProbs),
    output: (status, logProbs) =>
      items.map((item, i) =>
        itemOf(item, i === items.length - 1 ? status : "completed", item.kind === "message" ? logProbs : []),
      ),
  };
};
