/** Part 2: a window of the text gives one example per position. */
import { useSignal } from "@preact/signals";
import { count } from "../../parts/format.ts";
import { Scroll } from "../../parts/scroll.tsx";
import { Segmented } from "../../parts/segmented.tsx";
import { Character, lineOf } from "../cell.tsx";
import { examplesOf, lastStart, windowAt } from "../chapter/pairs.ts";
import type { LessonText } from "../chapter/text.ts";
import { start, time } from "../state.ts";

const sizes = ["4", "8", "16"] as const;

const Rows = ({ text, at }: { readonly text: LessonText; readonly at: number }) => {
  const { x, y } = windowAt(text.characters, start.value, time.value);
  const id = (character: string) => text.vocabulary.idOf.get(character);
  const seen = (i: number) => (i <= at ? "seen" : "unseen");
  const asked = (i: number) => (i === at ? "asked" : "");
  return (
    <Scroll label="The window" follows={`${at} ${time.value}`}>
      <table class="aligned">
        <thead>
          <tr>
            <th scope="row">position</th>
            {x.map((_, i) => (
              <th key={i} scope="col" class="num">
                {i}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">x</th>
            {x.map((character, i) => (
              <td key={i} class={i === at ? "followed" : ""}>
                <Character text={character} look={seen(i)} />
              </td>
            ))}
          </tr>
          <tr>
            <th scope="row">y</th>
            {y.map((character, i) => (
              <td key={i}>
                <Character text={character} look={asked(i)} />
              </td>
            ))}
          </tr>
          <tr>
            <th scope="row">ids of x</th>
            {x.map((character, i) => (
              <td key={i} class="num soft">
                {id(character)}
              </td>
            ))}
          </tr>
          <tr>
            <th scope="row">ids of y</th>
            {y.map((character, i) => (
              <td key={i} class="num soft">
                {id(character)}
              </td>
            ))}
          </tr>
        </tbody>
      </table>
    </Scroll>
  );
};

export const PairsPart = ({ text }: { readonly text: LessonText }) => {
  const position = useSignal(2);
  const { characters } = text;
  const last = lastStart(characters.length, time.value);
  const from = Math.min(start.value, last);
  const window = windowAt(characters, from, time.value);
  const at = Math.min(position.value, window.x.length - 1);
  const examples = examplesOf(window);
  const example = examples[at];
  const slide = (to: number) => {
    start.value = Math.max(0, Math.min(last, to));
  };
  return (
    <>
      <p class="lead">
        Which character comes next? Every text contains many such questions, and the answers too. The model reads a
        piece of <b>T</b> characters at once. Take a window of T + 1 characters. The model reads <b>x</b>, the window
        without its last character. It must predict <b>y</b>, the window without its first character. So the next
        character is below each character.
      </p>
      <div class="toolbar">
        <Segmented
          label="T, characters read at once"
          value={String(time.value) as (typeof sizes)[number]}
          options={sizes.map((value) => ({ value, label: value }))}
          onChange={(value) => {
            time.value = Number(value);
          }}
        />
        <span class="stepper">
          <button
            type="button"
            aria-label="Move the window back by one"
            disabled={from <= 0}
            onClick={() => slide(from - 1)}
          >
            ←
          </button>
          <button
            type="button"
            aria-label="Move the window forward by one"
            disabled={from >= last}
            onClick={() => slide(from + 1)}
          >
            →
          </button>
        </span>
        <label class="slider grow">
          Window begins at
          <input
            type="range"
            min={0}
            max={last}
            step={1}
            value={from}
            onInput={({ currentTarget }) => slide(Number(currentTarget.value))}
          />
          <output class="num">{count(from)}</output>
        </label>
      </div>
      <Rows text={text} at={at} />
      <label class="slider wide-slider">
        Position
        <input
          type="range"
          min={0}
          max={window.x.length - 1}
          step={1}
          value={at}
          aria-valuetext={
            example === undefined
              ? String(at)
              : `${at}: sees ${lineOf(example.sees)}, must predict ${lineOf([example.isAskedFor])}`
          }
          onInput={({ currentTarget }) => {
            position.value = Number(currentTarget.value);
          }}
        />
        <output class="num">{at}</output>
      </label>
      {example !== undefined && (
        <p>
          Position {at} sees <b class="mono">{lineOf(example.sees)}</b> and must predict{" "}
          <b class="mono">{lineOf([example.isAskedFor])}</b>. It sees no later characters.
        </p>
      )}
      <h2>One pass gives {window.x.length} examples</h2>
      <p>
        The model reads x once and predicts at all positions. So one pass over T characters gives T examples. Each
        example has one more character than the example before:
      </p>
      <div class="table-box">
        <table class="examples">
          <thead>
            <tr>
              <th scope="col" class="num">
                position
              </th>
              <th scope="col">sees</th>
              <th scope="col">must predict</th>
            </tr>
          </thead>
          <tbody>
            {examples.map(({ sees, isAskedFor }, i) => (
              <tr key={i} class={i === at ? "chosen" : ""}>
                <td class="num">{i}</td>
                <td class="mono">{lineOf(sees, 20)}</td>
                <td>
                  <Character text={isAskedFor} look={i === at ? "asked" : ""} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
};
