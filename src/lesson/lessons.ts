import { generationLesson } from "./generation.ts";
import type { LessonInput } from "./input.ts";
import { lossLesson } from "./loss.ts";
import { maskLesson } from "./mask.ts";
import { pairsLesson } from "./pairs.ts";
import type { Lesson } from "./piece.ts";

interface Part {
  readonly summary: string;
  /** Whether the lesson trains a small model. */
  readonly trains: boolean;
  readonly start: (input: LessonInput) => Lesson;
}

/** The lessons, in teaching order. */
export const lessons = {
  pairs: { summary: "how one text becomes many examples", trains: false, start: pairsLesson },
  loss: { summary: "what the loss is, and what its value means", trains: true, start: lossLesson },
  mask: { summary: "why a model must not look ahead", trains: true, start: maskLesson },
  generation: { summary: "how a model writes, one character at a time", trains: true, start: generationLesson },
} as const satisfies Readonly<Record<string, Part>>;

export type LessonName = keyof typeof lessons;
export const lessonNames = Object.keys(lessons) as readonly LessonName[];

/** Runs several lessons one after the other, with a pause between two lessons. */
export async function* lessonsInTurn(names: readonly LessonName[], input: LessonInput): Lesson {
  for (const [index, name] of names.entries()) {
    if (index > 0) yield { kind: "pause" };
    yield* lessons[name].start(input);
  }
}
