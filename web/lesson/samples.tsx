/** Texts that the models wrote during training. The texts of all learners are from the same step. */
import { useSignal } from "@preact/signals";
import { count } from "../parts/format.ts";
import type { SessionRecord } from "./engine/client.ts";
import { lookEvery } from "./engine/messages.ts";

/**
 * Replaces empty lines by their number. A model that has only learned line ends fills a whole screen with empty lines.
 */
const shownText = (text: string | undefined): string =>
  (text ?? "").replace(/\n{3,}/gu, (lines) => `\n(${lines.length - 1} empty lines)\n`);

export interface SamplesProps {
  readonly record: SessionRecord;
  readonly learners: readonly string[];
}

export const LessonSamples = ({ record, learners }: SamplesProps) => {
  void record.version.value;
  /** Index of the shown step. Null: always the newest text. */
  const chosen = useSignal<number | null>(null);
  const steps = [...new Set(record.samples.map(({ step }) => step))];
  const last = steps.length - 1;
  const index = chosen.value === null ? last : Math.min(chosen.value, last);
  const step = steps[index];
  const show = (to: number) => {
    chosen.value = to >= last ? null : Math.max(0, to);
  };
  if (step === undefined)
    return (
      <p class="soft">
        Every {lookEvery} steps {learners.length > 1 ? "each writes" : "it writes"} a text. The first text comes before
        step 1.
      </p>
    );
  return (
    <div class="lesson-samples">
      <div class="scrubber">
        <button type="button" aria-label="Earlier text" disabled={index <= 0} onClick={() => show(index - 1)}>
          ←
        </button>
        <input
          type="range"
          min={0}
          max={Math.max(0, last)}
          step={1}
          value={index}
          aria-label="Training step of the text"
          aria-valuetext={`step ${step}, ${index + 1} of ${steps.length}`}
          onInput={({ currentTarget }) => show(Number(currentTarget.value))}
        />
        <button type="button" aria-label="Later text" disabled={index >= last} onClick={() => show(index + 1)}>
          →
        </button>
        <output class="num">after {count(step)} steps</output>
      </div>
      <div class={learners.length > 1 ? "two-texts" : ""}>
        {learners.map((label, learner) => {
          const sample = record.samples.find((one) => one.step === step && one.learner === learner);
          return (
            <section key={label} aria-label={`Text ${label}`}>
              {learners.length > 1 && <h3>{label}</h3>}
              <p class="written" dir="auto">
                <span class="prompt">{sample?.prompt}</span>
                {shownText(sample?.text)}
              </p>
            </section>
          );
        })}
      </div>
    </div>
  );
};
