/** Collects the text and the tool calls of one answer while the model writes it. */
import type { AnswerPiece, AnswerReader } from "../../chat/tools/reader.ts";
import { newCallId } from "../../chat/tools/tools.ts";
import { type ToolTurn, withoutEndName } from "../../chat/tools/turn.ts";
import type { FinishReason } from "../../generate/events.ts";
import { finishReasonOf } from "./completions.ts";
import type { Lease } from "./served-models.ts";
import type { TextPiece } from "./texts.ts";

/** A tool call that is being written. */
export interface AnswerCall {
  readonly id: string;
  readonly name: string;
  /** The part of the JSON that has been written so far. */
  arguments: string;
}

/** A new part of an answer. */
export type AnswerPart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "call"; readonly index: number; readonly call: AnswerCall }
  | { readonly kind: "arguments"; readonly index: number; readonly text: string };

/** The text and the tool calls of one answer. */
export interface AnswerText {
  /** Adds a piece of written text and returns the new parts. */
  take(piece: TextPiece): readonly AnswerPart[];
  readonly content: string;
  readonly calls: readonly AnswerCall[];
  /** Why the answer ended. The reason is `length` if a tool call is incomplete. */
  reason(): "stop" | "length" | "tool_calls";
}

/** @param turn the turn, if the request has tools. */
export const answerText = ({ lm }: Lease, turn: ToolTurn | undefined): AnswerText => {
  const reader: AnswerReader | undefined = turn?.reader();
  let content = "";
  const calls: AnswerCall[] = [];
  let ended: FinishReason = "endOfText";
  const read = ({ added, tokens, end }: TextPiece): readonly AnswerPiece[] => {
    if (reader === undefined) return added === "" ? [] : [{ kind: "text", text: added }];
    const pieces = reader.push(end === null ? added : withoutEndName(lm, added, tokens.at(-1)?.id));
    return end === null ? pieces : [...pieces, ...reader.end()];
  };
  const partOf = (piece: AnswerPiece): AnswerPart => {
    if (piece.kind === "text") {
      content += piece.text;
      return piece;
    }
    const index = piece.call;
    if (piece.kind === "call") {
      const call = { id: `call_${newCallId()}`, name: piece.name, arguments: "" };
      calls[index] = call;
      return { kind: "call", index, call };
    }
    const call = calls[index];
    if (call !== undefined) call.arguments += piece.text;
    return { kind: "arguments", index, text: piece.text };
  };
  return {
    take(piece) {
      if (piece.end !== null) ended = piece.end.reason;
      return read(piece).map(partOf);
    },
    get content() {
      return content;
    },
    calls,
    reason() {
      if (reader?.isWhole === false) return "length";
      return calls.length > 0 ? "tool_calls" : finishReasonOf(ended);
    },
  };
};
