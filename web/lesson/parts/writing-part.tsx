/** Part 6: writing step by step: logits → softmax → draw → append. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Notice } from "../../parts/notice.tsx";
import { visible } from "../../tokens/surprise.ts";
import { lineOf } from "../cell.tsx";
import { type Choice, choicesOf, cropped, drawn } from "../chapter/sampling.ts";
import type { LessonText } from "../chapter/text.ts";
import { WhenReady } from "../controls.tsx";
import { askLogits, sessions, stepOf } from "../engine/client.ts";
import type { Opened } from "../engine/messages.ts";
import { addressOf } from "../place.ts";
import { Power } from "../power.tsx";
import { prompt, sampling, written } from "../writing.ts";
import { Bars, Strip } from "./choices.tsx";

const Sequence = ({
  characters,
  fresh,
  contextLength,
}: {
  readonly characters: readonly string[];
  readonly fresh: number;
  readonly contextLength: number;
}) => {
  const seen = cropped(characters, contextLength);
  const outside = characters.slice(0, characters.length - seen.length);
  const cut = Math.max(0, seen.length - fresh);
  return (
    <div class="sequence-box">
      <p class="written sequence" dir="auto">
        {outside.length > 0 && <span class="outside">{outside.join("")}</span>}
        <span class="inside">
          {seen.slice(0, cut).join("")}
          <b>{seen.slice(cut).join("")}</b>
        </span>
        <span class="caret still" aria-hidden="true" />
      </p>
      <p class="soft about num">
        {characters.length} {characters.length === 1 ? "character" : "characters"}.{" "}
        {outside.length > 0
          ? `The model sees only the last ${contextLength} (underlined). The first ${outside.length} are cropped (crossed out).`
          : `The model sees all of them. Its context length is ${contextLength} characters. If a text is longer, the model sees only the end.`}
      </p>
    </div>
  );
};

const Steps = ({ text, opened }: { readonly text: LessonText; readonly opened: Opened }) => {
  const { vocabulary } = text;
  /** Newest answer. The answer is shown until the next answer arrives, so that the page does not jump. */
  const answer = useSignal<{ readonly to: string; readonly logits: Float32Array } | undefined>(undefined);
  const drawButton = useRef<HTMLButtonElement>(null);
  const number = useSignal<number | undefined>(undefined);
  const isWriting = useSignal(false);
  const step = stepOf(sessions.model);
  const running = sessions.model.running.value;
  const characters = [...prompt.value, ...written.value];
  const unknown = [...new Set(characters)].filter((character) => !vocabulary.idOf.has(character));
  const ids = characters.map((character) => vocabulary.idOf.get(character) ?? 0);
  const asked = unknown.length > 0 || ids.length === 0 ? "" : ids.join(" ");
  // After more training, the weights and the logits differ. So the page requests the logits again when training pauses
  // at another step.
  const question = asked === "" ? "" : `${running ? "under way" : step}: ${asked}`;
  useEffect(() => {
    if (question === "") {
      answer.value = undefined;
      return;
    }
    let isOld = false;
    void askLogits(ids).then((logits) => {
      if (!isOld) answer.value = { to: question, logits };
    });
    return () => {
      isOld = true;
    };
  }, [question]);

  const { temperature, topK } = sampling.value;
  const choices = answer.value === undefined ? [] : choicesOf(answer.value.logits, temperature, topK);
  // A number that is drawn before the new answer arrives is used when the answer arrives.
  const isNow = answer.value?.to === question;
  const taken = number.value === undefined || !isNow ? undefined : drawn(choices, number.value);
  const append = (choice: Choice | undefined) => {
    if (choice === undefined) return;
    written.value = [...written.value, vocabulary.characters[choice.id] ?? ""];
    number.value = undefined;
    // When the Append button becomes disabled, the browser would move the focus to the top of the page.
    drawButton.current?.focus();
  };
  const several = async (count: number) => {
    number.value = undefined;
    isWriting.value = true;
    const first = prompt.value;
    // The reader may change the text during this loop.
    for (let i = 0; i < count && prompt.value === first; i++) {
      const sequence = [...prompt.value, ...written.value].map((one) => vocabulary.idOf.get(one) ?? 0);
      const choice = drawn(choicesOf(await askLogits(sequence), temperature, topK), Math.random());
      if (choice !== undefined && prompt.value === first)
        written.value = [...written.value, vocabulary.characters[choice.id] ?? ""];
    }
    isWriting.value = false;
  };
  return (
    <>
      <label class="field">
        The text begins with
        <input
          type="text"
          spellcheck={false}
          autocomplete="off"
          value={prompt.value}
          onInput={({ currentTarget }) => {
            prompt.value = currentTarget.value;
            written.value = [];
            number.value = undefined;
          }}
        />
      </label>
      {unknown.length > 0 && (
        <Notice tone="bad">
          The beginning must contain only characters of your text; got{" "}
          {unknown.map((one) => `“${visible(one)}”`).join(" ")}; try to leave {unknown.length === 1 ? "it" : "them"}{" "}
          out.
        </Notice>
      )}
      {ids.length === 0 && (
        <Notice tone="plain">The beginning must have at least one character; got none; try a word of your text.</Notice>
      )}
      <Sequence characters={characters} fresh={written.value.length} contextLength={opened.contextLength} />
      <p class="row">
        <button type="button" disabled={asked === "" || isWriting.value} onClick={() => void several(10)}>
          Write 10 characters
        </button>
        <button
          type="button"
          disabled={written.value.length === 0 || isWriting.value}
          onClick={() => {
            written.value = [];
            number.value = undefined;
          }}
        >
          Back to the beginning
        </button>
      </p>

      <ol class="writing-steps">
        <li>
          <h2>Logits, and softmax</h2>
          <p>
            The model reads the sequence once. At the last position it computes a number, the <b>logit</b>, for each of
            the {vocabulary.characters.length} characters. <b>Softmax</b> turns logits into probabilities: p ={" "}
            <Power>logit / temperature</Power>, divided by the sum over all kept characters.
          </p>
          <div class="sampling">
            <label class="slider">
              <span>Temperature</span>
              <input
                type="range"
                min={0.1}
                max={2}
                step={0.1}
                value={temperature}
                onInput={({ currentTarget }) => {
                  sampling.value = { temperature: Number(currentTarget.value), topK };
                }}
              />
              <output class="num">{temperature.toFixed(1)}</output>
            </label>
            <label class="slider">
              <span>Top-k</span>
              <input
                type="range"
                min={1}
                max={vocabulary.characters.length}
                step={1}
                value={Math.min(topK, vocabulary.characters.length)}
                onInput={({ currentTarget }) => {
                  sampling.value = { temperature, topK: Number(currentTarget.value) };
                }}
              />
              <output class="num">{Math.min(topK, vocabulary.characters.length)}</output>
            </label>
          </div>
          <p class="soft about">
            A low temperature makes likely characters likelier. A high temperature makes all probabilities more equal.
            Top-k keeps only the k likeliest characters.
          </p>
          <Bars text={text} choices={choices} taken={taken} />
        </li>
        <li>
          <h2>Draw</h2>
          <p>
            All choices lie side by side from 0 to 1. The width of a choice is its probability. A random number is
            drawn. This number falls on one of the choices.
          </p>
          <Strip text={text} choices={choices} number={isNow ? number.value : undefined} />
          <p class="row">
            <button
              ref={drawButton}
              type="button"
              class={taken === undefined ? "primary" : ""}
              disabled={choices.length === 0 || isWriting.value}
              onClick={() => {
                number.value = Math.random();
              }}
            >
              {taken === undefined ? "Draw" : "Draw another number"}
            </button>
            <span role="status" class="num drawn">
              {number.value !== undefined && taken !== undefined && (
                <>
                  {number.value.toFixed(4)} falls into {taken.from.toFixed(4)} to {taken.to.toFixed(4)}:{" "}
                  <b class="mono">{visible(vocabulary.characters[taken.id] ?? "")}</b>
                </>
              )}
            </span>
          </p>
        </li>
        <li>
          <h2>Append</h2>
          <p>The drawn character is appended to the sequence. Then the next step reads the longer sequence.</p>
          <p class="tail mono">
            {lineOf(characters, 20)}
            {taken !== undefined && <b class="joining">{visible(vocabulary.characters[taken.id] ?? "")}</b>}
          </p>
          <button
            type="button"
            class={taken === undefined ? "" : "primary"}
            disabled={taken === undefined || isWriting.value}
            onClick={() => append(taken)}
          >
            {taken === undefined ? "Append" : `Append ${visible(vocabulary.characters[taken.id] ?? "")}, and again`}
          </button>
        </li>
      </ol>
    </>
  );
};

/** Summary of the lesson: one line for each part. */
const Summary = () => (
  <section aria-labelledby="summary-head">
    <h2 id="summary-head">The lesson in six lines</h2>
    <ol>
      <li>A text becomes numbers: each character of the vocabulary has an id.</li>
      <li>A window of T + 1 characters gives T examples: which character comes next?</li>
      <li>The loss is −ln p of the right character. The mean loss shows how much better than guessing a model is.</li>
      <li>
        Training changes each weight so that the loss falls. Held-out text shows whether the model only memorises.
      </li>
      <li>The mask hides the answers. Without the mask, a model copies the answers and learns nothing.</li>
      <li>To write: compute logits, apply softmax, draw, append, repeat.</li>
    </ol>
    <p>
      Try next: a <a href={addressOf("text")}>text of your own</a> that is longer, or the same model with temperatures
      of 0.2 and 1.5. Larger models learn in the same way, with more weights, more text and pieces of words instead of
      characters.
    </p>
  </section>
);

export const WritingPart = ({ text }: { readonly text: LessonText }) => {
  const step = stepOf(sessions.model);
  return (
    <>
      <p class="lead">
        To write, a model repeatedly predicts the next character. Each time, one character is drawn and appended, and
        the model reads the longer text again. This is the model of <a href={addressOf("training")}>part 4</a>.
      </p>
      <WhenReady>
        {(opened) => (
          <>
            {step === 0 ? (
              <Notice tone="plain">
                This model is untrained, so it writes nonsense. <a href={addressOf("training")}>Train it first</a>, or
                see how it writes untrained.
              </Notice>
            ) : (
              <p class="soft num">
                After {step} of {opened.steps} steps.
              </p>
            )}
            <Steps text={text} opened={opened} />
          </>
        )}
      </WhenReady>
      <Summary />
    </>
  );
};
