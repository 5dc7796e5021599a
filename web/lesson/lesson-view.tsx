/** The lesson: six parts, one at a time, each with its own address. */
import { useSignalEffect } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { keepInView } from "../parts/in-row.ts";
import { mainActionKeys } from "../parts/main-action.ts";
import { Notice } from "../parts/notice.tsx";
import type { LessonText } from "./chapter/text.ts";
import { LossPart } from "./parts/loss-part.tsx";
import { MaskPart } from "./parts/mask-part.tsx";
import { PairsPart } from "./parts/pairs-part.tsx";
import { TextPart } from "./parts/text-part.tsx";
import { TrainingPart } from "./parts/training-part.tsx";
import { WritingPart } from "./parts/writing-part.tsx";
import { addressOf, type Part, type PartName, parts, place, readPlace } from "./place.ts";
import { choice, current, loadBuiltIn, openCurrent } from "./state.ts";

const onText: Readonly<Record<Exclude<PartName, "text">, (text: LessonText) => VNode>> = {
  pairs: (text) => <PairsPart text={text} />,
  loss: (text) => <LossPart text={text} />,
  training: (text) => <TrainingPart text={text} />,
  mask: (text) => <MaskPart text={text} />,
  writing: (text) => <WritingPart text={text} />,
};

/** Parts that need a model. */
const computing: readonly PartName[] = ["training", "mask", "writing"];

const Shown = ({ name }: { readonly name: PartName }) => {
  const now = current.value;
  if (name === "text") return <TextPart />;
  if (now.kind === "text") return onText[name](now.text);
  return (
    <Notice tone={now.isFailure ? "bad" : "plain"}>
      {now.why} {choice.value === "own" || now.isFailure ? <a href={addressOf("text")}>Choose a text</a> : null}
    </Notice>
  );
};

interface NextProps {
  readonly part: Part | undefined;
  readonly rel: "prev" | "next";
  /** Whether Ctrl+Enter in a field of the part follows this link. */
  readonly isMain?: boolean;
}

const Next = ({ part, rel, isMain = false }: NextProps) =>
  part === undefined ? (
    <span />
  ) : (
    <a
      class={rel === "next" ? "button primary" : "button"}
      rel={rel}
      href={addressOf(part.name)}
      {...(isMain ? { title: "Ctrl+Enter in the text", "aria-keyshortcuts": mainActionKeys } : {})}
    >
      {rel === "next" ? `Next: ${part.label} →` : `← ${part.label}`}
    </a>
  );

export const LessonView = () => {
  const heading = useRef<HTMLHeadingElement>(null);
  const name = place.value;
  const index = parts.findIndex((part) => part.name === name);
  const part = parts[index] ?? parts[0];
  // The built-in text loads by itself, so only the reader's own text can be missing.
  const lacksText = current.value.kind === "none" && choice.value === "own";
  useEffect(() => {
    readPlace();
    void loadBuiltIn();
  }, []);
  useSignalEffect(() => {
    // The worker starts only in parts that need a model.
    if (computing.includes(place.value) && current.value.kind === "text") openCurrent();
  });
  const row = useRef<HTMLOListElement>(null);
  useEffect(() => keepInView(row.current, "[aria-current]"), [name]);
  const first = useRef(true);
  useEffect(() => {
    // Moves the focus to the new part, for keyboard and screen reader users.
    if (!first.current) {
      window.scrollTo(0, 0);
      heading.current?.focus({ preventScroll: true });
    }
    first.current = false;
  }, [name]);
  return (
    <div class="lesson">
      <nav class="parts" aria-label="Parts of the lesson">
        <ol ref={row}>
          {parts.map(({ name: one, label }, i) => (
            <li key={one}>
              <a href={addressOf(one)} aria-current={one === name ? "step" : undefined}>
                <span class="num">{i + 1}</span> {label}
              </a>
            </li>
          ))}
        </ol>
      </nav>
      <div class="lesson-part">
        <p class="crumb soft">
          Lesson, part {index + 1} of {parts.length}
        </p>
        <h1 ref={heading} tabIndex={-1}>
          {part.title}
        </h1>
        <Shown name={part.name} />
        <p class="row part-ends">
          <Next part={parts[index - 1]} rel="prev" />
          <span class="grow" />
          {part.name === "text" && lacksText ? (
            <span class="soft">The next part needs a text.</span>
          ) : (
            <Next part={parts[index + 1]} rel="next" isMain={part.name === "text" && choice.value === "own"} />
          )}
        </p>
      </div>
    </div>
  );
};
