/** Reads the text and the tool calls of an answer while it is written. */
import type { CallsBegin } from "./constraint.ts";
import { behindMarker } from "./constraint.ts";
import type { ToolForm } from "./form.ts";

/** A piece of an answer. */
export type AnswerPiece =
  /** Text outside of calls. */
  | { readonly kind: "text"; readonly text: string }
  /** A call begins. @property call its index, from 0. */
  | { readonly kind: "call"; readonly call: number; readonly name: string }
  /** The next part of the JSON of a call's arguments. */
  | { readonly kind: "arguments"; readonly call: number; readonly text: string };

/** Splits the text of an answer into pieces while the text arrives. */
export interface AnswerReader {
  push(text: string): readonly AnswerPiece[];
  /** Call it at the end of the answer. Returns the text that is still held back. */
  end(): readonly AnswerPiece[];
  /** Number of calls that have begun. */
  readonly calls: number;
  /** Whether the last call is complete. True if there is no call. */
  readonly isWhole: boolean;
}

/** Finds the end of a JSON object in a text that arrives in pieces. */
const objectEnd = () => {
  let depth = 0;
  let inString = false;
  let isEscaped = false;
  return {
    /** The index after the object, or -1 if the object has not ended. */
    push(text: string): number {
      for (let i = 0; i < text.length; i++) {
        const char = text[i];
        if (isEscaped) isEscaped = false;
        else if (inString) {
          if (char === "\\") isEscaped = true;
          else if (char === '"') inString = false;
        } else if (char === '"') inString = true;
        else if (char === "{" || char === "[") depth++;
        else if (char === "}" || char === "]") {
          depth--;
          if (depth === 0) return i + 1;
        }
      }
      return -1;
    },
  };
};

/**
 * Number of characters to hold back. The held text is the longest end of the text that may begin a marker, including
 * the spaces before it.
 */
const heldLength = (text: string, marker: string): number => {
  let hold = Math.min(marker.length - 1, text.length);
  while (hold > 0 && !marker.startsWith(text.slice(text.length - hold))) hold--;
  const before = text.slice(0, text.length - hold);
  return hold + before.length - before.trimEnd().length;
};

/** Reads the calls of an answer. @param open the remaining text before the first call. */
const callsReader = (form: ToolForm, open: string): Pick<AnswerReader, "push" | "calls" | "isWhole"> => {
  const { between, parts } = form;
  let held = "";
  /** Fixed text that must come next, or null if any text may come. */
  let literal: string | null = open;
  let part = 0;
  let calls = 0;
  let isNamed = false;
  /** Arguments that came before the name of the tool. */
  let early = "";
  let json = objectEnd();

  const take = (length: number): string => {
    const taken = held.slice(0, length);
    held = held.slice(length);
    return taken;
  };
  const readArguments = (out: AnswerPiece[]): boolean => {
    if (held === "") return false;
    const end = json.push(held);
    const text = take(end < 0 ? held.length : end);
    if (isNamed) out.push({ kind: "arguments", call: calls - 1, text });
    else early += text;
    if (end >= 0) part++;
    return end >= 0;
  };
  const readWord = (kind: "name" | "id", out: AnswerPiece[]): boolean => {
    const [word = ""] = /^[\w-]*/u.exec(held) ?? [];
    if (word.length === held.length) return false;
    take(word.length);
    part++;
    if (kind === "id") return true;
    out.push({ kind: "call", call: calls - 1, name: word });
    if (early !== "") out.push({ kind: "arguments", call: calls - 1, text: early });
    isNamed = true;
    return true;
  };
  /** Reads the next part; false: more text is needed. */
  const step = (out: AnswerPiece[]): boolean => {
    if (literal !== null) {
      if (held.length < literal.length) return false;
      take(literal.length);
      [literal, part, isNamed, early, json] = [null, 0, false, "", objectEnd()];
      calls++;
      return true;
    }
    const now = parts[part];
    if (now === undefined) {
      if (between === null || !held.startsWith(between)) return false;
      literal = between;
      return true;
    }
    if (now.kind === "arguments") return readArguments(out);
    if (now.kind !== "text") return readWord(now.kind, out);
    if (held.length < now.text.length) return false;
    take(now.text.length);
    part++;
    return true;
  };
  return {
    push(text) {
      held += text;
      const out: AnswerPiece[] = [];
      for (let goesOn = true; goesOn; ) goesOn = step(out);
      return out;
    },
    get calls() {
      return calls;
    },
    get isWhole() {
      return literal === null && part >= parts.length;
    },
  };
};

/** @param begin where calls begin. This position must agree with the constraint on the text. */
export const answerReader = (form: ToolForm, begin: CallsBegin): AnswerReader => {
  const { marker } = form;
  let held = "";
  let calls = begin === "at once" ? callsReader(form, form.open) : undefined;
  /** Whether a call may still begin. */
  let isOpen = true;
  const beginCalls = (from: number): readonly AnswerPiece[] => {
    calls = callsReader(form, behindMarker(form));
    const text = held.slice(from);
    held = "";
    return calls.push(text);
  };
  const shown = (length: number): readonly AnswerPiece[] => {
    const text = held.slice(0, length);
    held = held.slice(length);
    return text === "" ? [] : [{ kind: "text", text }];
  };
  const pushAtStart = (): readonly AnswerPiece[] => {
    const trimmed = held.trimStart();
    if (isOpen && trimmed.startsWith(marker)) return beginCalls(held.length - trimmed.length + marker.length);
    if (isOpen && marker.startsWith(trimmed)) return [];
    isOpen = false;
    return shown(held.length);
  };
  const pushAnywhere = (): readonly AnswerPiece[] => {
    const at = held.indexOf(marker);
    if (at < 0) return shown(held.length - heldLength(held, marker));
    const before = shown(held.slice(0, at).trimEnd().length);
    return [...before, ...beginCalls(held.indexOf(marker) + marker.length)];
  };
  return {
    push(text) {
      if (calls !== undefined) return calls.push(text);
      held += text;
      return begin === "at start" ? pushAtStart() : pushAnywhere();
    },
    end: () => (calls === undefined ? shown(held.length) : []),
    get calls() {
      return calls?.calls ?? 0;
    },
    get isWhole() {
      return calls?.isWhole ?? true;
    },
  };
};
