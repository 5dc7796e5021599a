/** Part 3: the loss of a probability, and the meaning of a loss. */
import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { Chart } from "../../chart/chart.tsx";
import type { Curve, CurveStyle, Interval } from "../../chart/curve.ts";
import { comparedStyle } from "../../chart/palette.ts";
import type { XAxis } from "../../chart/ticks.ts";
import { inPercent } from "../../parts/format.ts";
import { Segmented } from "../../parts/segmented.tsx";
import { lossOf, meaningOf, positionOf, probabilityAt, probabilitySteps } from "../chapter/meaning.ts";
import type { LessonText } from "../chapter/text.ts";
import { percentText } from "../chapter/words.ts";
import { guessStyle } from "../charts.tsx";
import { Power } from "../power.tsx";
import { MeanOfGuesses } from "./mean.tsx";

const plain = { pyramid: undefined, smoothed: undefined } as const;
/**
 * Probabilities at the slider's positions, in millionths. The chart shows the same probabilities and formats whole
 * numbers.
 */
const million = 1e6;
const millionthsAt = (position: number): number => Math.round(million * probabilityAt(position));
const positions = Float64Array.from({ length: probabilitySteps + 1 }, (_, position) => millionthsAt(position));
const costs = positions.map((value) => lossOf(value / million));
const millionthsText = (value: number): string =>
  value % 10_000 === 0 ? inPercent(value / 10_000) : percentText(value / million);
const millionthsAxis: XAxis = {
  text: millionthsText,
  texts: (values) => values.map(millionthsText),
  least: 1,
  unitOf: () => 1,
};
const twoDigits = (value: number): string => value.toFixed(2);

/** A dot without a line, in its own colour. */
const chosenStyle: CurveStyle = { color: "--series-4", dash: [], width: 0, marks: true };

const curvesOf = (position: number, vocabSize: number): readonly Curve[] => [
  {
    ...{
      key: "cost",
      label: "−ln p",
      style: comparedStyle(0, false),
      x: positions,
      y: costs,
      length: positions.length,
      ...plain,
    },
  },
  {
    ...{
      key: "guess",
      label: `guessing: ln ${vocabSize}`,
      style: guessStyle,
      x: [positions[0] ?? 1, million],
      length: 2,
      ...plain,
    },
    y: Float64Array.of(Math.log(vocabSize), Math.log(vocabSize)),
  },
  {
    ...{ key: "chosen", label: "your p", style: chosenStyle, length: 1, ...plain },
    x: [millionthsAt(position)],
    y: Float64Array.of(lossOf(probabilityAt(position))),
  },
];

/** Formats 1/V with two significant digits, even if 1/V is small. */
const guesserText = (vocabSize: number): string =>
  vocabSize > 500 ? inPercent((100 / vocabSize).toPrecision(2)) : percentText(1 / vocabSize);

const OneGuess = ({ vocabSize }: { readonly vocabSize: number }) => {
  const position = useSignal(positionOf(0.1));
  const probability = probabilityAt(position.value);
  const loss = lossOf(probability);
  const times = probability * vocabSize;
  const link = { cursor: useSignal<number | null>(null), zoom: useSignal<Interval | null>(null) };
  const vocabulary = useSignal(vocabSize);
  if (vocabulary.peek() !== vocabSize) vocabulary.value = vocabSize;
  useSignalEffect(() => {
    // While the pointer is outside the chart, the chart's cursor is at the slider's p.
    if (link.cursor.value === null) link.cursor.value = millionthsAt(position.value);
  });
  const curves = useComputed(() => curvesOf(position.value, vocabulary.value));
  return (
    <section aria-labelledby="guess-head">
      <h2 id="guess-head">One guess</h2>
      <p>
        At each position the model gives every character of the vocabulary a probability. Then the text shows the right
        character. The probability of this character is p, and the loss is <b>−ln p</b>. The loss is 0 for p =
        100&nbsp;% and larger for a smaller p. Move p:
      </p>
      <label class="slider wide-slider">
        p of the right character
        <input
          type="range"
          min={0}
          max={probabilitySteps}
          step={1}
          value={position.value}
          aria-valuetext={`${percentText(probability)}, loss ${twoDigits(loss)} nats`}
          onInput={({ currentTarget }) => {
            position.value = Number(currentTarget.value);
            link.cursor.value = millionthsAt(position.value);
          }}
        />
        <output class="num">{percentText(probability)}</output>
        <span class="ticks" aria-hidden="true">
          <span>0.1&nbsp;%</span>
          <span>1&nbsp;%</span>
          <span>10&nbsp;%</span>
          <span>100&nbsp;%</span>
        </span>
      </label>
      <p class="result">
        −ln {probability.toPrecision(3)} = <b class="num">{twoDigits(loss)} nats</b>. A guesser gives each of the{" "}
        {vocabSize} characters the same probability, 1/{vocabSize} = {guesserText(vocabSize)}; its loss is ln{" "}
        {vocabSize} = {twoDigits(Math.log(vocabSize))}. Your p is{" "}
        <b class="num">{times >= 10 ? times.toFixed(0) : twoDigits(times)} times</b> the guesser’s
        {times < 0.99 ? ": worse than guessing." : "."}
      </p>
      <p>
        <b>ln</b> is the natural logarithm, and{" "}
        <b>
          <Power>x</Power>
        </b>{" "}
        is a power of the number e = 2.718…. A pocket calculator has keys for both. The two functions undo each other:{" "}
        <Power>ln 5</Power> is 5. If probabilities are multiplied, their losses are added. A loss computed with ln has
        the unit <b>nats</b>.
      </p>
      <Chart
        title="Loss of one guess"
        unit="nats"
        name="loss-of-a-guess"
        curves={curves}
        xLabel="p of the right character"
        xAxis={millionthsAxis}
        log={false}
        height={260}
        link={link}
        format={twoDigits}
      />
    </section>
  );
};

/** Known losses on Tiny Shakespeare, which has 65 characters. */
const known: readonly (readonly [loss: string, of: string, low: number, high: number])[] = [
  ["4.17", "untrained: guessing, ln 65", Math.log(65), Math.log(65)],
  ["1.3–1.5", "after 3,000 steps of training", 1.5, 1.3],
  ["1.0", "a much better model", 1, 1],
  ["0.8–1.0", "people, about", 1, 0.8],
];

const rangeText = (low: number, high: number, digits: number): string =>
  low.toFixed(digits) === high.toFixed(digits) ? low.toFixed(digits) : `${low.toFixed(digits)}–${high.toFixed(digits)}`;

const WholeText = ({ vocabSize }: { readonly vocabSize: number }) => {
  const loss = useSignal(1.4);
  const which = useSignal<"chapter" | "own">("chapter");
  const size = which.value === "chapter" ? 65 : vocabSize;
  const { timesGuessing, choices, probability } = meaningOf(loss.value, size);
  const uniform = Math.log(size);
  return (
    <section aria-labelledby="meaning-head">
      <h2 id="meaning-head">A whole text</h2>
      <p>
        <Power>−loss</Power> turns the cross-entropy of a whole text into a probability again, because powers of e undo
        ln. This probability shows how much better than guessing a model is. A guesser gives the right character a
        probability of 1/V. The model gives it <Power>−loss</Power>, which is <Power>ln V − loss</Power> times as much.
      </p>
      <p>
        V is the number of different characters in a text. Choose your text or Tiny Shakespeare. Many courses train on
        Tiny Shakespeare, a million characters of Shakespeare's plays. You do not need that text here, because its
        losses are known.
      </p>
      <div class="toolbar">
        <Segmented
          label="V"
          value={which.value}
          options={[
            { value: "chapter", label: "65, as in Tiny Shakespeare" },
            { value: "own", label: `${vocabSize}, as in this text` },
          ]}
          onChange={(value) => {
            which.value = value;
          }}
        />
        <label class="slider wide-slider grow">
          Loss
          <input
            type="range"
            min={0}
            max={6}
            step={0.05}
            value={loss.value}
            aria-valuetext={`${twoDigits(loss.value)} nats, ${timesGuessing.toFixed(1)} times the probability of guessing`}
            onInput={({ currentTarget }) => {
              loss.value = Number(currentTarget.value);
            }}
          />
          <output class="num">{twoDigits(loss.value)} nats</output>
        </label>
      </div>
      <p class="result">
        <Power>−{twoDigits(loss.value)}</Power> = {percentText(probability)}, and a guesser has 1/{size} ={" "}
        {guesserText(size)}:{" "}
        <Power>
          {twoDigits(uniform)} − {twoDigits(loss.value)}
        </Power>{" "}
        ={" "}
        <b class="num">
          {timesGuessing >= 10 ? timesGuessing.toFixed(0) : timesGuessing.toFixed(1)} times the probability of a guesser
        </b>
        . And {percentText(probability)} is 1 in <Power>{twoDigits(loss.value)}</Power> = {choices.toFixed(1)}, the{" "}
        <b>perplexity</b>:
        {choices <= size
          ? ` guessing among ${choices.toFixed(1)} equally likely characters is equally hard.`
          : " the perplexity exceeds the number of characters, so the model is worse than guessing."}
      </p>
      <p>
        A loss of 1.4 nats with 65 characters means 16 times the probability of guessing. The perplexity is then 4.1.
        Some people call such a model “4 to 5 times better than guessing”. But 4 to 5 is the perplexity. The probability
        is 16 times as high.
      </p>
      <div class="table-box">
        <table>
          <caption>Known losses on Tiny Shakespeare, 65 characters</caption>
          <thead>
            <tr>
              <th scope="col" class="num">
                loss
              </th>
              <th scope="col">model</th>
              <th scope="col" class="num">
                times the probability of guessing
              </th>
              <th scope="col" class="num">
                equal choices (perplexity)
              </th>
            </tr>
          </thead>
          <tbody>
            {known.map(([shown, of, low, high]) => {
              const [from, to] = [meaningOf(low, 65), meaningOf(high, 65)];
              return (
                <tr key={of}>
                  <td class="num">{shown}</td>
                  <td>{of}</td>
                  <td class="num">{rangeText(from.timesGuessing, to.timesGuessing, 0)}</td>
                  <td class="num">{rangeText(to.choices, from.choices, 1)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      <p class="soft">No model reaches 0: a text can continue in more than one way.</p>
    </section>
  );
};

export const LossPart = ({ text }: { readonly text: LessonText }) => {
  const vocabSize = text.vocabulary.characters.length;
  return (
    <>
      <OneGuess vocabSize={vocabSize} />
      <MeanOfGuesses text={text} />
      <WholeText vocabSize={vocabSize} />
    </>
  );
};
