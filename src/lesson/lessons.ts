import type { LessonInput } from "./input.ts";
import { maskLesson } from "./mask.ts";
import { pairsLesson } from "./pairs.ts";
import type { Lesson } from "./piece.ts";

interface Part {
  readonly summary: string;
  readonly start: (input: LessonInput) => Lesson;
}

/** The parts, in the order in which they build on each other. */
export const lessons = {
  pairs: { summary: "how one text becomes many examples", start: pairsLesson },
  mask: { summary: "why a model may not look ahead", start: maskLesson },
} as const satisfies Readonly<Record<string, Part>>;

export type LessonName = keyof typeof lessons;
export const lessonNames = Object.keys(lessons) as readonly LessonName[];

/** Several parts, one after the other, with a pause between two. */
export async function* lessonsInTurn(names: readonly LessonName[], input: LessonInput): Lesson {
  for (const [index, name] of names.entries()) {
    if (index > 0) yield { kind: "pause" };
    yield* lessons[name].start(input);
  }
}
