/** Table of a sweep: its settings, each with a run for each seed. */

import { comparedStyle } from "../chart/palette.ts";
import { Swatch } from "../chart/swatch.tsx";
import { count, inPercent, loss } from "../parts/format.ts";
import { Sign } from "../parts/run-state.tsx";
import { isLive, stateWords } from "../parts/state-words.ts";
import { runAddress } from "../shell/address.ts";
import { mostShown, type SeedRun, type SettingRow } from "./settings.ts";

const Seed = ({ seed, name, run }: SeedRun) => {
  if (run === undefined) return <span class="seed-run soft">seed {seed}</span>;
  const { tone, word } = stateWords(run);
  const done = `${count(run.step)} of ${count(run.steps)} steps`;
  return (
    <a class="seed-run" href={runAddress(name)} title={`${word}, ${done}`}>
      <Sign tone={tone} />
      seed {seed}
      <span class="hidden-text">
        : {word}, {done}
      </span>{" "}
      <span class="num soft">
        {isLive(run)
          ? inPercent(Math.floor((100 * run.step) / Math.max(1, run.steps)))
          : loss(run.best?.natsPerCharacter)}
      </span>
    </a>
  );
};

const State = ({ state: { tone, word, about } }: Pick<SettingRow, "state">) => (
  <>
    <span class={`state state-${tone}`}>
      <Sign tone={tone} />
      {word}
    </span>
    {about !== "" && <span class="sweep-about soft">{about}</span>}
  </>
);

interface RowProps {
  readonly row: SettingRow;
  /** Place among the shown settings; -1: its curves are not shown. */
  readonly place: number;
  readonly canShow: boolean;
  readonly onShow: (number: number, isShown: boolean) => void;
}

const Row = ({ row, place, canShow, onShow }: RowProps) => {
  const { number, name, runs, step, steps, state, above, isWinner } = row;
  return (
    <tr class={isWinner ? "chosen" : ""}>
      <td class="choose">
        <input
          type="checkbox"
          checked={place >= 0}
          disabled={place < 0 && !canShow}
          aria-label={`Show the curve of setting ${number}`}
          onChange={({ currentTarget }) => onShow(number, currentTarget.checked)}
        />
      </td>
      <th scope="row" class="sweep-setting">
        <span class="sweep-name">
          {place >= 0 && <Swatch style={comparedStyle(place, true)} />}
          <span>
            <span class="soft num">{number}</span> {name}
          </span>
        </span>
        <span class="seed-runs">
          {runs.map((one) => (
            <Seed key={one.seed} {...one} />
          ))}
        </span>
        {/* Shows the state if its column has no room. */}
        <span class="sweep-state">
          <State state={state} />
        </span>
      </th>
      <td class="room-medium">
        <State state={state} />
      </td>
      <td class="num room-medium">
        {count(step)} {steps !== null && <span class="soft">/ {count(steps)}</span>}
      </td>
      <td class={row.isSoFar ? "num soft" : "num"}>
        {loss(row.loss)}
        <span class="sweep-above soft">{row.isSoFar && row.loss !== null ? "so far" : above}</span>
      </td>
    </tr>
  );
};

export interface SweepTableProps {
  readonly rows: readonly SettingRow[];
  /** Numbers of the settings whose curves are shown. */
  readonly shown: readonly number[];
  readonly onShow: RowProps["onShow"];
}

export const SweepTable = ({ rows, shown, onShow }: SweepTableProps) => (
  <div class="table-box">
    <table class="sweep">
      <thead>
        <tr>
          <td class="choose">
            <span class="hidden-text">Show the curve</span>
          </td>
          <th scope="col">Setting and runs</th>
          <th scope="col" class="room-medium">
            State
          </th>
          <th scope="col" class="num room-medium">
            Steps
          </th>
          <th scope="col" class="num">
            Nats/char
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <Row
            key={row.number}
            row={row}
            place={shown.indexOf(row.number)}
            canShow={shown.length < mostShown}
            onShow={onShow}
          />
        ))}
      </tbody>
    </table>
  </div>
);
