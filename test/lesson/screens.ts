import pc from "picocolors";
import { showPlain } from "#foretoken/cli/lesson/show.js";
import { type Style, symbolsFor } from "#foretoken/cli/process/terminal.js";
import type { Lesson, Piece } from "#foretoken/lesson/piece.js";

/** The output style of a lesson, with or without Unicode, without colours. */
export const uncoloured = (unicode = true): Style => ({
  symbols: symbolsFor(unicode),
  colors: pc.createColors(false),
});

/** A lesson that yields pieces that were computed before. */
export async function* replay(pieces: readonly Piece[]): Lesson {
  yield* pieces;
}

/** The output of a lesson into a pipe of this width. */
export const plainText = async (lesson: Lesson, width: number, style = uncoloured()): Promise<string> => {
  let text = "";
  await showPlain(
    lesson,
    (part) => {
      text += part;
    },
    width,
    style,
  );
  return text;
};

/** The screens: the pieces between two pauses. */
export const screensOf = (pieces: readonly Piece[]): readonly (readonly Piece[])[] => {
  const screens: Piece[][] = [[]];
  for (const piece of pieces) {
    if (piece.kind === "pause") screens.push([]);
    else screens.at(-1)?.push(piece);
  }
  return screens;
};
