/** Choices of one writing step: as a table, and side by side from 0 to 1. */
import { visible } from "../../tokens/surprise.ts";
import { Character } from "../cell.tsx";
import { type Choice, drawn, othersText } from "../chapter/sampling.ts";
import type { LessonText } from "../chapter/text.ts";
import { percentText } from "../chapter/words.ts";

const rowsShown = 8;

export const Bars = ({
  text,
  choices,
  taken,
}: {
  readonly text: LessonText;
  readonly choices: readonly Choice[];
  readonly taken: Choice | undefined;
}) => {
  const top = choices.slice(0, rowsShown);
  // The number of rows stays the same, so the page does not move while the reader clicks.
  const shown = taken === undefined || top.some(({ id }) => id === taken.id) ? top : [...top.slice(0, -1), taken];
  const rest = choices.filter(({ id }) => !shown.some((one) => one.id === id));
  const leftOut = rest.filter(({ probability }) => probability === 0).length;
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
                <td class="num">{probability === 0 ? "left out" : percentText(probability)}</td>
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
              <td colSpan={2}>{othersText(rest.length, leftOut)}</td>
              <td class="num">{restShare === 0 ? "left out" : percentText(restShare)}</td>
              <td />
            </tr>
          )}
        </tbody>
      </table>
    </div>
  );
};

/** All choices side by side from 0 to 1, with a mark at the random number. */
export const Strip = ({
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
  // Percent units, because a viewBox would stretch the characters.
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
