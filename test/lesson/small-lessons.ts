import type { Backend } from "#foretoken/backend/backend.js";
import { splitText } from "#foretoken/data/corpus.js";
import { type LessonInput, lessonInput } from "#foretoken/lesson/input.js";
import type { Lesson, Piece, Text } from "#foretoken/lesson/piece.js";
import type { LessonSize } from "#foretoken/lesson/small-model.js";

/** A tiny lesson for tests. It takes little time. */
export const tinySize: LessonSize = {
  contextLength: 16,
  nLayer: 1,
  nHead: 2,
  nEmbd: 8,
  hidden: 16,
  batchSize: 2,
  steps: 5,
  written: 40,
  measured: 100,
};

/** This size has enough steps to memorize a short text. */
export const learningSize: LessonSize = { ...tinySize, nEmbd: 16, hidden: 32, steps: 80 };

const text = "the cat sat on the mat and the dog sat on the cat.\n".repeat(20);

/**
 * Nine tenths of the text are forwards, and the last tenth is backwards. What the model learns from the first part is
 * wrong for the last part.
 */
export const misleading = `${"abcd".repeat(90)}${"dcba".repeat(10)}`;

/** 110 different characters of a script without spaces, repeated. */
export const chinese = String.fromCodePoint(...Array.from({ length: 110 }, (_, i) => 0x4e00 + i)).repeat(10);

export const tinyInput = (backend: Backend, changes: Partial<LessonInput> = {}, whole = text): LessonInput => ({
  ...lessonInput({
    backend,
    corpus: {
      name: "a text",
      source: "test",
      ...splitText(whole),
      parts: [{ where: "test", start: 0 }],
      prompt: whole.slice(0, 4),
    },
    clock: () => 0,
    signal: new AbortController().signal,
  }),
  ...changes,
});

export const piecesOf = async (lesson: Lesson): Promise<readonly Piece[]> => {
  const pieces: Piece[] = [];
  for await (const piece of lesson) pieces.push(piece);
  return pieces;
};

export const plain = (value: Text): string =>
  typeof value === "string" ? value : value.map((span) => span.text).join("");

export type PieceOf<K extends Piece["kind"]> = Extract<Piece, { readonly kind: K }>;

/** The pieces of one kind, in their order. */
export const ofKind = <K extends Piece["kind"]>(pieces: readonly Piece[], kind: K): readonly PieceOf<K>[] =>
  pieces.filter((piece): piece is PieceOf<K> => piece.kind === kind);

/** The cells of this column of the table, as plain text. */
export const tableWith = (pieces: readonly Piece[], title: string): readonly (readonly string[])[] => {
  const found = ofKind(pieces, "table").find(({ columns }) => columns.some((column) => column.title === title));
  if (found === undefined) throw new Error(`no table has a column ${title}`);
  return found.rows.map((row) => row.map(plain));
};
