/** Part 6: writing, one step at a time: logits → softmax → draw → append. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { percent } from "../../parts/format.ts";
import { Notice } from "../../parts/notice.tsx";
import { visible } from "../../playground/surprise.ts";
import { Character } from "../cell.tsx";
import { type Choice, choicesOf, cropped, drawn } from "../chapter/sampling.ts";
import type { LessonText } from "../chapter/text.ts";
import { WhenReady } from "../controls.tsx";
import { askLogits, sessions, stepOf } from "../engine/client.ts";
import type { Opened } from "../engine/messages.ts";
import { addressOf } from "../place.ts";
import { prompt, sampling, written } from "../writing.ts";

const rowsShown = 8;

const Bars = ({
  text,
  choices,
  taken,
}: {
  readonly text: LessonText;
  readonly choices: readonly Choice[];
  readonly taken: Choice | undefined;
}) => {
  const top = choices.slice(0, rowsShown);
  const shown = taken === undefined || top.some(({ id }) => id === taken.id) ? top : [...top, taken];
  const rest = choices.filter(({ id }) => !shown.some((one) => one.id === id));
  const restShare = rest.reduce((sum, { probability }) => sum + probability, 0);
  return (
    <div class="table-box">
      <table class="bars">
        <thead>
          <tr>
            <th scope="col">next</th>
            <th scope="col" class="num">
              logit
            </th>
            <th scope="col" class="num">
              p
            </th>
            <th scope="col">
              <span class="hidden-text">p as a bar</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map((choice) => {
            const { id, logit, probability } = choice;
            const isTaken = id === taken?.id;
            return (
              <tr key={id} class={isTaken ? "chosen" : ""}>
                <td>
                  <Character text={text.vocabulary.characters[id] ?? ""} look={isTaken ? "asked" : ""} />
                </td>
                <td class="num">{logit.toFixed(2)}</td>
                <td class="num">{probability === 0 ? "left out" : percent(probability)}</td>
                <td class="bar-cell">
                  <svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                    <rect class="bar-back" width="100" height="8" />
                    <rect class="bar-fill" width={100 * probability} height="8" />
                  </svg>
                </td>
              </tr>
            );
          })}
          {rest.length > 0 && (
            <tr class="soft">
              <td>{rest.length} others</td>
              <td />
              <td class="num">{restShare === 0 ? "left out" : percent(restShare)}</td>
              <td />
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
};

/** All choices end to end from 0 to 1, and where the number falls. */
const Strip = ({
  text,
  choices,
  number,
}: {
  readonly text: LessonText;
  readonly choices: readonly Choice[];
  readonly number: number | undefined;
}) => {
  const kept = choices.filter(({ probability }) => probability > 0);
  const taken = number === undefined ? undefined : drawn(choices, number);
  // In percent, not in a box of its own units: that would stretch the characters.
  const share = (value: number) => `${100 * value}%`;
  return (
    <svg class="strip" aria-hidden="true">
      {kept.map(({ id, from, probability }, i) => (
        <g key={id} class={id === taken?.id ? "strip-taken" : i % 2 === 0 ? "strip-even" : "strip-odd"}>
          <rect x={share(from)} y="8" width={share(probability)} height="32" />
          {probability > 0.04 && (
            <text x={share(from + probability / 2)} y="29">
              {visible(text.vocabulary.characters[id] ?? "")}
            </text>
          )}
        </g>
      ))}
      {number !== undefined && <line class="strip-number" x1={share(number)} x2={share(number)} y1="0" y2="48" />}
    </svg>
  );
};

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
          ? `The model sees the last ${contextLength} alone (underlined). The ${outside.length} before them are cropped (crossed out).`
          : `The model sees all of them. Its context has room for ${contextLength}; of a longer text it sees the end.`}
      </p>
    </div>
  );
};

const Steps = ({ text, opened }: { readonly text: LessonText; readonly opened: Opened }) => {
  const { vocabulary } = text;
  const logits = useSignal<Float32Array | undefined>(undefined);
  const number = useSignal<number | undefined>(undefined);
  const isWriting = useSignal(false);
  const step = stepOf(sessions.model);
  const running = sessions.model.running.value;
  const characters = [...prompt.value, ...written.value];
  const unknown = [...new Set(characters)].filter((character) => !vocabulary.idOf.has(character));
  const ids = characters.map((character) => vocabulary.idOf.get(character) ?? 0);
  const asked = unknown.length > 0 || ids.length === 0 ? "" : ids.join(" ");
  useEffect(() => {
    if (asked === "") {
      logits.value = undefined;
      return;
    }
    let isOld = false;
    void askLogits(ids).then((answer) => {
      if (isOld) return;
      logits.value = answer;
    });
    return () => {
      isOld = true;
    };
    // Other weights answer differently: asked again when the training has stood still at another step.
  }, [asked, running ? -1 : step]);

  const { temperature, topK } = sampling.value;
  const now = logits.value;
  const choices = now === undefined ? [] : choicesOf(now, temperature, topK);
  const taken = number.value === undefined ? undefined : drawn(choices, number.value);
  const append = (choice: Choice | undefined) => {
    if (choice === undefined) return;
    written.value = [...written.value, vocabulary.characters[choice.id] ?? ""];
    number.value = undefined;
    logits.value = undefined;
  };
  const several = async (count: number) => {
    number.value = undefined;
    isWriting.value = true;
    const first = prompt.value;
    // The reader may begin another text meanwhile.
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
          The beginning must have characters of your text only; got {unknown.map(visible).join(" ")}; try it without
          them.
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
            The model reads the sequence once. At its last position it gives each of the {vocabulary.characters.length}{" "}
            characters a number, the <b>logit</b>. <b>Softmax</b> makes probabilities of them: p = e^(logit /
            temperature), divided by the sum over all.
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
            A low temperature favours the favourite, a high one makes all more alike. Top-k keeps the k likeliest and
            leaves out the others.
          </p>
          <Bars text={text} choices={choices} taken={taken} />
        </li>
        <li>
          <h2>Draw</h2>
          <p>
            All choices lie end to end from 0 to 1, each as long as it is likely. A random number is drawn, and falls on
            one of them.
          </p>
          <Strip text={text} choices={choices} number={number.value} />
          <p class="row">
            <button
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
          <p>The drawn character becomes the end of the sequence, and the next step begins with it.</p>
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

export const WritingPart = ({ text }: { readonly text: LessonText }) => {
  const step = stepOf(sessions.model);
  return (
    <>
      <p class="lead">
        To write, a model is asked again and again which character comes next. Each time one is drawn and appended, and
        the longer text is read again. It is the model of <a href={addressOf("training")}>part 4</a>.
      </p>
      <WhenReady>
        {(opened) => (
          <>
            {step === 0 ? (
              <Notice tone="plain">
                This model has not learned yet, so that it writes nonsense.{" "}
                <a href={addressOf("training")}>Train it first</a>, or look at how it writes before.
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
    </>
  );
};
