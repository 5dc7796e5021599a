/** Part 4: a small model learns the reader's text on the page. */
import type { ComponentChildren } from "preact";
import { count } from "../../parts/format.ts";
import { meaningOf } from "../chapter/meaning.ts";
import type { LessonText } from "../chapter/text.ts";
import { standingOf, standingText, trainingLoss } from "../chapter/words.ts";
import { LossChart } from "../charts.tsx";
import { Controls, WhenReady } from "../controls.tsx";
import { sessions, stepOf } from "../engine/client.ts";
import { lookEvery, type Opened } from "../engine/messages.ts";
import { Power } from "../power.tsx";
import { LessonSamples } from "../samples.tsx";

interface FigureProps {
  readonly label: string;
  readonly value: string;
  readonly note: ComponentChildren;
}

const Figure = ({ label, value, note }: FigureProps) => (
  <div class="figure">
    <span class="figure-label">{label}</span>
    <span class="figure-value num">{value}</span>
    <span class="figure-note">{note}</span>
  </div>
);

const two = (value: number | undefined): string => (value === undefined ? "–" : value.toFixed(2));

const Live = ({ opened, text }: { readonly opened: Opened; readonly text: LessonText }) => {
  const record = sessions.model;
  const step = stepOf(record);
  const losses = record.losses[0] ?? [];
  const heldOut = record.measured.at(-1)?.loss;
  const standing = standingOf(losses, record.measured);
  const kept = text.characters.length - text.trained;
  const measuredOn = kept > opened.heldOut ? `${count(opened.heldOut)} of the ${count(kept)}` : `all ${count(kept)}`;
  return (
    <>
      <div class="headline">
        <Figure
          label="Held-out loss"
          value={two(heldOut)}
          note={`measured every ${lookEvery} steps, on ${measuredOn} held-out characters`}
        />
        <Figure
          label="Times the probability of guessing"
          value={heldOut === undefined ? "–" : meaningOf(heldOut, opened.vocabSize).timesGuessing.toFixed(1)}
          note={<Power>ln {opened.vocabSize} − held-out loss</Power>}
        />
        <Figure
          label="Training loss"
          value={losses.length === 0 ? "–" : two(trainingLoss(losses))}
          note="on the training text, mean of the last 4 steps"
        />
      </div>
      <LossChart
        record={record}
        name="lesson-loss"
        learners={["training"]}
        vocabSize={opened.vocabSize}
        steps={opened.steps}
        shownLoss={trainingLoss}
      />
      <p class="remark" role="status">
        {standing !== undefined
          ? standingText(standing, opened.vocabSize)
          : step > 0
            ? "The curve began at the guessing line. It falls as the model learns."
            : "The dotted line shows guessing. The curve will begin at this line and fall as the model learns."}
      </p>
      <h2 id="what-it-writes" tabIndex={-1}>
        What it writes
      </h2>
      <LessonSamples record={record} learners={["training"]} />
    </>
  );
};

export const TrainingPart = ({ text }: { readonly text: LessonText }) => (
  <>
    <p class="lead">
      A model contains many numbers, the <b>weights</b>. The model computes the probabilities from the character ids and
      the weights. Learning means changing the weights. Before the first step the weights are random. The model then
      knows nothing, and its loss is the loss of guessing: ln {text.vocabulary.characters.length} ={" "}
      {Math.log(text.vocabulary.characters.length).toFixed(2)}.
    </p>
    <p>
      In a training step, the model reads a few windows of the text. The loss measures how wrong the predictions were.
      Each weight has a <b>gradient</b>, the slope of the loss. The gradient says whether the loss rises or falls when
      this weight grows a little. Then each weight is changed a little so that the loss falls.
    </p>
    <WhenReady>
      {(opened) => (
        <>
          <p>
            Here the model trains for {opened.steps} steps of {opened.batchSize} windows each. T is{" "}
            {opened.contextLength}, so one step has {opened.batchSize} × {opened.contextLength} ={" "}
            {count(opened.batchSize * opened.contextLength)} examples.
          </p>
          <Controls
            session="model"
            opened={opened}
            begin="Start training"
            end={{ label: "See what it writes ↓", id: "what-it-writes" }}
          />
          <Live opened={opened} text={text} />
        </>
      )}
    </WhenReady>
  </>
);
