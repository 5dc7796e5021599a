/** Part 4: a small model learns the reader's text, in front of the reader. */

import type { ComponentChildren } from "preact";
import { count } from "../../parts/format.ts";
import { meaningOf, recentLoss } from "../chapter/meaning.ts";
import type { LessonText } from "../chapter/text.ts";
import { LossChart } from "../charts.tsx";
import { Controls, WhenReady } from "../controls.tsx";
import { sessions, stepOf } from "../engine/client.ts";
import type { Opened } from "../engine/messages.ts";
import { LessonSamples } from "../samples.tsx";

const Figure = ({ label, value, note }: { readonly label: string; readonly value: string; readonly note: string }) => (
  <div class="figure">
    <span class="figure-label">{label}</span>
    <span class="figure-value num">{value}</span>
    <span class="figure-note">{note}</span>
  </div>
);

const two = (value: number | undefined): string => (value === undefined ? "–" : value.toFixed(2));

/** What the losses say, by their values. */
const remarkOf = (training: number, heldOut: number, opened: Opened): ComponentChildren => {
  const { timesGuessing } = meaningOf(heldOut, opened.vocabSize);
  if (heldOut > training + 0.4)
    return `On the text that it learned from the loss is ${two(training)}, on held-out text ${two(heldOut)}: part of what it knows it has learned by heart. A longer text helps.`;
  return `On text that it has never seen it gives the right characters ${timesGuessing.toFixed(1)} times the probability of a guesser.`;
};

const Live = ({ opened }: { readonly opened: Opened }) => {
  const record = sessions.model;
  const step = stepOf(record);
  const losses = record.losses[0] ?? [];
  const training = losses.length === 0 ? undefined : recentLoss(losses.slice(-40));
  const heldOut = record.measured.at(-1)?.loss;
  return (
    <>
      <div class="headline">
        <Figure label="Loss" value={two(training)} note="training, mean of the last steps" />
        <Figure label="Held out" value={two(heldOut)} note={`on ${count(opened.heldOut)} characters it never learns`} />
        <Figure
          label="Times guessing"
          value={heldOut === undefined ? "–" : meaningOf(heldOut, opened.vocabSize).timesGuessing.toFixed(1)}
          note={`e^(ln ${opened.vocabSize} − held-out loss)`}
        />
      </div>
      <LossChart
        record={record}
        name="lesson-loss"
        learners={["training"]}
        vocabSize={opened.vocabSize}
        steps={opened.steps}
      />
      <p class="remark" role="status">
        {record.outcomes.length > 0 &&
          training !== undefined &&
          heldOut !== undefined &&
          remarkOf(training, heldOut, opened)}
        {record.outcomes.length === 0 && step > 0 && "It began at the line of guessing. The curve falls as it learns."}
      </p>
      <h2>What it writes</h2>
      <LessonSamples record={record} learners={["training"]} />
    </>
  );
};

export const TrainingPart = ({ text }: { readonly text: LessonText }) => (
  <>
    <p class="lead">
      A step of training: the model reads a few windows of the text, the loss tells how wrong its probabilities were,
      and every weight is moved a little so that the loss becomes smaller. Before the first step it knows nothing: its
      loss is that of guessing, ln {text.vocabulary.characters.length} ={" "}
      {Math.log(text.vocabulary.characters.length).toFixed(2)}.
    </p>
    <WhenReady>
      {(opened) => (
        <>
          <p>
            Here: {opened.steps} steps, each of {opened.batchSize} windows of {opened.contextLength} characters. One
            step is {opened.batchSize} × {opened.contextLength} = {count(opened.batchSize * opened.contextLength)}{" "}
            examples.
          </p>
          <Controls session="model" opened={opened} begin="Start training" />
          <Live opened={opened} />
        </>
      )}
    </WhenReady>
  </>
);
