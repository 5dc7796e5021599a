/** Several guesses and the mean of their losses: the cross-entropy. */
import { useSignal } from "@preact/signals";
import { Character, lineOf } from "../cell.tsx";
import { lossOf, meaningOf, positionOf, probabilityAt, probabilitySteps } from "../chapter/meaning.ts";
import { examplesOf, windowAt } from "../chapter/pairs.ts";
import type { LessonText } from "../chapter/text.ts";
import { percentText } from "../chapter/words.ts";
import { Power } from "../power.tsx";
import { start } from "../state.ts";

/** Initial probabilities: a few good guesses and a bad guess. */
const first: readonly number[] = [0.6, 0.9, 0.3, 0.02].map(positionOf);

export const MeanOfGuesses = ({ text }: { readonly text: LessonText }) => {
  const chosen = useSignal(first);
  const examples = examplesOf(windowAt(text.characters, start.value, first.length));
  const losses = chosen.value.map((position) => lossOf(probabilityAt(position)));
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  const vocabSize = text.vocabulary.characters.length;
  const { timesGuessing, probability: typical } = meaningOf(mean, vocabSize);
  const move = (at: number, position: number) => {
    chosen.value = chosen.value.map((one, i) => (i === at ? position : one));
  };
  return (
    <section aria-labelledby="mean-head">
      <h2 id="mean-head">Several guesses</h2>
      <p>
        The loss of a text is the mean of the losses at its positions. This mean is called the <b>cross-entropy</b>.
        Move each p. One bad guess raises the mean more than one good guess lowers it:
      </p>
      <ul class="guesses">
        {examples.map(({ sees, isAskedFor }, i) => {
          const probability = probabilityAt(chosen.value[i] ?? 0);
          const loss = losses[i] ?? 0;
          return (
            <li key={i}>
              <span>
                after <b class="mono">{lineOf(sees)}</b> comes <Character text={isAskedFor} look="asked" />
              </span>
              <input
                type="range"
                min={0}
                max={probabilitySteps}
                step={1}
                value={chosen.value[i]}
                aria-label={`p of ${lineOf([isAskedFor])} after ${lineOf(sees)}`}
                aria-valuetext={`${percentText(probability)}, loss ${loss.toFixed(2)}, mean ${mean.toFixed(2)} nats`}
                onInput={({ currentTarget }) => move(i, Number(currentTarget.value))}
              />
              <span class="num">
                {percentText(probability)} <span class="soft">loss</span> {loss.toFixed(2)}
              </span>
            </li>
          );
        })}
      </ul>
      <p class="result">
        Mean of the losses: <b class="num">{mean.toFixed(2)} nats</b>. Guessing: ln {vocabSize} ={" "}
        {Math.log(vocabSize).toFixed(2)}. So the right characters have{" "}
        <Power>
          {Math.log(vocabSize).toFixed(2)} − {mean.toFixed(2)}
        </Power>{" "}
        = <b class="num">{timesGuessing >= 10 ? timesGuessing.toFixed(0) : timesGuessing.toFixed(2)} times</b> the
        probability of guessing.
      </p>
      <p>
        If losses are added, the probabilities are multiplied. So the mean loss corresponds to one typical p, the{" "}
        <b>geometric mean</b>: <Power>−{mean.toFixed(2)}</Power> = {percentText(typical)}. If this p replaces each of
        the {losses.length} p above, their product stays the same. One small p pulls the geometric mean far down.
      </p>
    </section>
  );
};
