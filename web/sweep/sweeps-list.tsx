/** Sweeps of the folder, above the table of runs. */
import type { RunSummary, SweepSummary } from "../../src/serve/studio/protocol.ts";
import { count, some } from "../parts/format.ts";
import { Sign } from "../parts/run-state.tsx";
import { sweepAddress } from "../shell/address.ts";
import { settingRows, sweepState } from "./settings.ts";

const Sweep = ({ sweep, runs }: { readonly sweep: SweepSummary; readonly runs: readonly RunSummary[] }) => {
  const rows = settingRows(sweep, runs);
  const { tone, word } = sweepState(sweep, rows);
  const best = rows.find(({ isWinner }) => isWinner);
  const step = rows.reduce((sum, row) => sum + row.step, 0);
  return (
    <li>
      <a class="run-name" href={sweepAddress(sweep.name)}>
        {sweep.name}
      </a>
      <span class={`state state-${tone}`}>
        <Sign tone={tone} />
        {word}
      </span>
      <span class="soft num">
        {some(sweep.settings.length, "setting")}, {some(sweep.seeds.length, "seed")} each, {count(step)} steps
      </span>
      {best !== undefined && <span>best: {best.name}</span>}
    </li>
  );
};

interface SweepsListProps {
  readonly sweeps: readonly SweepSummary[];
  readonly runs: readonly RunSummary[];
}

export const SweepsList = ({ sweeps, runs }: SweepsListProps) => (
  <section class="sweeps" aria-label="Sweeps">
    <h2>Sweeps</h2>
    <ul>
      {sweeps.map((sweep) => (
        <Sweep key={sweep.name} sweep={sweep} runs={runs} />
      ))}
    </ul>
  </section>
);
