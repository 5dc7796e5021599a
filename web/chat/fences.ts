/** Code in an answer: the lines between Markdown fences, for example between lines with three backticks. */
import { looksLikeCode } from "../parts/code.ts";

export interface AnswerPart {
  readonly isCode: boolean;
  readonly text: string;
}

/** Signs of a line that opens a fence. Code in a line, between backticks on both sides, is no fence. */
const fenceIn = (line: string): string | undefined => /^\s*(`{3,}(?=[^`]*$)|~{3,})/u.exec(line)?.[1];

/** Whether a line closes a fence: the same signs, at least as many, and nothing else. */
const closes = (line: string, fence: string): boolean =>
  line.trim().startsWith(fence) && line.replaceAll(fence[0] ?? "", "").trim() === "";

/**
 * Splits an answer into prose and code. The code contains its fences, so the parts together are the whole text. A fence
 * that is still open reaches to the end. An answer without fences is code if it looks like code as a whole: small models
 * often forget the fences.
 */
export const partsOf = (text: string): readonly AnswerPart[] => {
  const parts: { readonly isCode: boolean; text: string }[] = [];
  let fence: string | undefined;
  for (const line of text.match(/[^\n]*\n|[^\n]+$/gu) ?? []) {
    const opens = fence === undefined ? fenceIn(line) : undefined;
    const isCode = fence !== undefined || opens !== undefined;
    const last = parts.at(-1);
    // Two blocks of code without prose between them are two parts.
    if (last === undefined || last.isCode !== isCode || opens !== undefined) parts.push({ isCode, text: line });
    else last.text += line;
    if (opens !== undefined) fence = opens;
    else if (fence !== undefined && closes(line, fence)) fence = undefined;
  }
  return parts.length === 1 && looksLikeCode(text) ? [{ isCode: true, text }] : parts;
};

/** For each piece of a text, whether the piece begins in code. */
export const piecesInCode = (pieces: readonly string[]): readonly boolean[] => {
  // One entry for each unit of the text.
  const inCode = partsOf(pieces.join("")).flatMap(({ isCode, text }) => Array<boolean>(text.length).fill(isCode));
  let at = 0;
  return pieces.map((piece) => {
    const begins = inCode[at] ?? false;
    at += piece.length;
    return begins;
  });
};
