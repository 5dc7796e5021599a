/** Part 5: the causal mask, and what happens to a model without the mask. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { knowsByHeart } from "../../../src/lesson/small-model-config.ts";
import { Scroll } from "../../parts/scroll.tsx";
import { Segmented } from "../../parts/segmented.tsx";
import { Character } from "../cell.tsx";
import { recentLoss } from "../chapter/meaning.ts";
import { windowAt } from "../chapter/pairs.ts";
import type { LessonText } from "../chapter/text.ts";
import { LossChart } from "../charts.tsx";
import { Controls, WhenReady } from "../controls.tsx";
import { sessions } from "../engine/client.ts";
import type { Opened, Outcome } from "../engine/messages.ts";
import { LessonSamples } from "../samples.tsx";
import { start } from "../state.ts";

const positions = 6;
const learners = ["with the mask", "without a mask"] as const;

/** What each position of a window sees. */
const Sight = ({ text }: { readonly text: LessonText }) => {
  const isOn = useSignal(true);
  const { x, y } = windowAt(text.characters, start.value, positions);
  return (
    <>
      <Segmented
        label="Mask"
        value={isOn.value ? "on" : "off"}
        options={[
          { value: "on", label: "On" },
          { value: "off", label: "Off" },
        ]}
        onChange={(value) => {
          isOn.value = value === "on";
        }}
      />
      <Scroll label="What each position sees">
        <table class="aligned sight">
          <thead>
            <tr>
              <th scope="col">position</th>
              <th scope="col" colSpan={x.length}>
                sees
              </th>
              <th scope="col">must predict</th>
            </tr>
          </thead>
          <tbody>
            {y.map((asked, i) => (
              <tr key={i}>
                <th scope="row" class="num">
                  {i}
                </th>
                {x.map((character, j) => {
                  const isAnswer = j === i + 1;
                  const isSeen = j <= i || !isOn.value;
                  return (
                    <td key={j}>
                      {isSeen ? (
                        <Character text={character} look={isAnswer ? "answer" : "seen"} />
                      ) : (
                        <span class="cell hidden-cell">
                          <span aria-hidden="true">·</span>
                          <span class="hidden-text">hidden</span>
                        </span>
                      )}
                    </td>
                  );
                })}
                <td>
                  <Character text={asked} look="asked" />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <p role="status">
        {isOn.value
          ? "With the mask, position i sees characters 0 to i. The answer at i + 1 is hidden (·), so the model must predict it."
          : "Without the mask, each position sees the whole window. So it also sees the answer, one position later (double frame), and can copy it. Only the last position has nothing to copy."}
      </p>
    </>
  );
};

const two = (value: number): string => value.toFixed(2);

/** Explains the result of the race. */
const endOf = (outcomes: readonly Outcome[], opened: Opened): ComponentChildren => {
  const [honest, cheater] = outcomes;
  if (honest === undefined || cheater === undefined) return null;
  const [ofHonest, ofCheater] = [0, 1].map((learner) => recentLoss(sessions.race.losses[learner] ?? []));
  const guessing = Math.log(opened.vocabSize);
  const hasCopied = (ofCheater ?? 0) < (ofHonest ?? 0) / 4;
  // Compares the held-out losses with the mask and without it.
  const copiesAll = cheater.asTrained < honest.asTrained / 4 && cheater.withMask > guessing;
  const wordsOf = ({ words, known }: Outcome) => (words === 0 ? "no words" : `${known} of ${words}`);
  return (
    <>
      <h2 id="how-it-ended" tabIndex={-1}>
        How it ended
      </h2>
      <p class="result" role="status">
        The training loss is <b class="num">{two(ofHonest ?? 0)} nats with the mask</b> and{" "}
        <b class="num">{two(ofCheater ?? 0)} without</b>.{" "}
        {hasCopied
          ? `The model without a mask has learned that the answer is one position later, and copies it. Its training looks perfect, but it has learned ${copiesAll ? "nothing" : "little"} that helps to write.`
          : "Both losses are low: the text is so short that a model learns it by heart even with the mask. A longer text shows the difference."}
      </p>
      <div class="table-box">
        <table>
          <caption>On held-out text, in nats per character</caption>
          <thead>
            <tr>
              <th scope="col">trained</th>
              <th scope="col" class="num">
                loss as trained
              </th>
              <th scope="col" class="num">
                same weights, with the mask
              </th>
              {opened.hasWords && (
                <th scope="col" class="num">
                  words of the text
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {outcomes.map((outcome) => (
              <tr key={outcome.learner}>
                <td>{learners[outcome.learner]}</td>
                <td class="num">{two(outcome.asTrained)}</td>
                <td class="num">{two(outcome.withMask)}</td>
                {opened.hasWords && <td class="num">{wordsOf(outcome)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p>
        While a model writes, the next position is still empty: there is nothing to copy. Guessing has a loss of{" "}
        {two(guessing)} nats.
        {cheater.withMask > guessing && " With the mask, the weights that learned to copy predict worse than guessing."}
        {opened.hasWords &&
          " At the end, each model wrote 300 characters. The table above shows only some of them. “Words of the text” counts words of three or more letters that are also in your text."}
      </p>
      {knowsByHeart(ofHonest ?? 0, honest.asTrained) && (
        <p>
          <b>
            The model with the mask has learned{" "}
            {(ofHonest ?? 0) < honest.asTrained / 4 ? "your text" : "parts of your text"} by heart: {two(ofHonest ?? 0)}{" "}
            nats on its training text, {two(honest.asTrained)} on held-out text
            {honest.asTrained > guessing && ", worse than guessing"}. A longer text helps.
          </b>
        </p>
      )}
    </>
  );
};

const Race = ({ opened }: { readonly opened: Opened }) => {
  const record = sessions.race;
  void record.version.value;
  return (
    <>
      <Controls
        session="race"
        opened={opened}
        begin="Start the race"
        end={{ label: "See how it ended ↓", id: "how-it-ended" }}
      />
      <LossChart
        record={record}
        name="lesson-race"
        learners={learners}
        vocabSize={opened.vocabSize}
        steps={opened.steps}
        shownLoss={recentLoss}
      />
      <h2>What they write</h2>
      <LessonSamples record={record} learners={learners} />
      {endOf(record.outcomes, opened)}
    </>
  );
};

export const MaskPart = ({ text }: { readonly text: LessonText }) => (
  <>
    <p class="lead">
      The model reads a whole window at once. But the answer for each position is in the window too, one position later.
      The <b>causal mask</b> hides the answer: every position sees itself and earlier positions, but no later positions.
    </p>
    <Sight text={text} />
    <h2>A race</h2>
    <p>
      Two models start with the same weights and read the same windows. One model has the mask, the other model does
      not. The models train alternately, one step each. Which model has the lower loss? Which model can write?
    </p>
    <WhenReady>{(opened) => <Race opened={opened} />}</WhenReady>
  </>
);
