/** A sweep while it runs and after its end: its winner, the curves of its runs, and its table. */
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { SweepSummary } from "../../src/serve/studio/protocol.ts";
import { Chart } from "../chart/chart.tsx";
import type { Curve, Interval } from "../chart/curve.ts";
import { comparedStyle } from "../chart/palette.ts";
import { Command } from "../parts/command.tsx";
import { count, inPercent, loss, some } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { Sign } from "../parts/run-state.tsx";
import { Segmented } from "../parts/segmented.tsx";
import { ChartSettings, isLog, leastLossSpan, xAxes, xKindOf } from "../run/run-charts.tsx";
import { followRuns, listError, runs, sweeps } from "../server/run-list.ts";
import { address, setQuery } from "../shell/address.ts";
import { curveNames, shortNamesTitle } from "./curve-names.ts";
import { createSweepCurves, type SweepCurves } from "./curves.ts";
import { agreeing } from "./evaluations.ts";
import { type SettingRow, settingRows, shownNumbers, sweepState } from "./settings.ts";
import { SweepTable } from "./sweep-table.tsx";

interface FigureProps {
  readonly label: string;
  readonly value: string;
  readonly note: string;
}

const Figure = ({ label, value, note }: FigureProps) => (
  <div class="figure">
    <span class="figure-label">{label}</span>
    <span class="figure-value num">{value}</span>
    <span class="figure-note num">{note}</span>
  </div>
);

/** The best setting, how sure it is, and how to use it. */
const Winner = ({ sweep, rows }: { readonly sweep: SweepSummary; readonly rows: readonly SettingRow[] }) => {
  const { result, command } = sweep;
  if (result === null) return null;
  const best = rows.find(({ isWinner }) => isWinner);
  if (best === undefined || result.heldOut === null) return <Notice tone="plain">No setting has finished.</Notice>;
  const second = rows.find(({ isWinner, above }) => !isWinner && above !== "");
  const equals = rows.filter(({ mayBeAsGood }) => mayBeAsGood).length;
  const { natsPerCharacter, bitsPerByte, runs: held } = result.heldOut;
  const losses = held.map((run) => run.natsPerCharacter);
  return (
    <section class="winner" aria-label="Best setting">
      <h2>Best setting: {best.name}</h2>
      {equals > 0 && (
        <p>
          {`${some(equals, "other setting")} may be as good: with ${some(sweep.seeds.length, "seed")}, the interval of the difference contains 0. More seeds can decide.`}
        </p>
      )}
      <div class="headline">
        <Figure
          label="Loss on the held-out text"
          value={loss(natsPerCharacter)}
          note={`nats per character${held.length < 2 ? "" : `, ${loss(Math.min(...losses))} to ${loss(Math.max(...losses))} by seed`}`}
        />
        <Figure label="Bits per byte" value={loss(bitsPerByte)} note="on the held-out text" />
        {second !== undefined && (
          <Figure label="Second setting" value={second.above} note="nats per character above the best" />
        )}
        <Figure
          label="Steps trained"
          value={inPercent(Math.round((100 * result.steps) / result.plannedSteps))}
          note={`${count(result.steps)} of ${count(result.plannedSteps)}`}
        />
      </div>
      {command !== null && (
        <>
          <p class="soft">This command trains the best setting on the whole text:</p>
          <Command text={command} />
        </>
      )}
    </section>
  );
};

const axisLabels = { step: "Steps", tokens: "Tokens", seconds: "Training time" } as const;

interface CurvesProps {
  readonly name: string;
  readonly rows: readonly SettingRow[];
  readonly shown: readonly number[];
  readonly seeds: readonly number[];
  readonly read: SweepCurves;
}

/** Validation losses of the shown settings with one seed. */
const Curves = ({ name, rows, shown, seeds, read }: CurvesProps) => {
  const { query } = address.value;
  const seed = seeds.find((one) => String(one) === query.get("seed")) ?? seeds[0] ?? 0;
  const chosen = shown.flatMap((number) => {
    const row = rows.find((one) => one.number === number);
    const run = row?.runs.find((one) => one.seed === seed);
    return row === undefined || run === undefined ? [] : [{ ...run, names: curveNames(row) }];
  });
  useEffect(() => read.want(chosen.flatMap(({ run }) => run ?? [])));
  const kind = xKindOf(query);
  // The chart draws when the signal changes: after a read, and after another choice.
  const choice = useSignal(chosen);
  const isSame =
    choice.peek().length === chosen.length && choice.peek().every((one, i) => one.name === chosen[i]?.name);
  if (!isSame) choice.value = chosen;
  const curves = useComputed((): readonly Curve[] => {
    const x = xKindOf(address.value.query);
    return choice.value.flatMap(({ name: run, names }, i) => {
      const data = read.data.value.get(run);
      if (data === undefined) return [];
      const { evals } = data;
      return {
        ...names,
        ...{ key: run, style: comparedStyle(i, true), length: evals.length },
        ...{ x: evals.column(x), y: evals.column("natsPerCharacter"), pyramid: undefined, smoothed: undefined },
      };
    });
  });
  const link = { cursor: useSignal<number | null>(null), zoom: useSignal<Interval | null>(null) };
  return (
    <section aria-label="Curves">
      <ChartSettings steps={undefined}>
        {seeds.length > 1 && (
          <Segmented
            label="Seed"
            value={String(seed)}
            options={seeds.map((one) => ({ value: String(one), label: String(one) }))}
            onChange={(value) => setQuery({ seed: value === String(seeds[0]) ? null : value })}
          />
        )}
      </ChartSettings>
      <Chart
        title="Validation loss"
        unit="nats per character"
        name={`sweep-${name}`}
        subject={`${name}, seed ${seed}`}
        curves={curves}
        xLabel={axisLabels[kind]}
        xAxis={xAxes[kind]}
        log={isLog(query)}
        height={340}
        link={link}
        format={loss}
        leastSpan={leastLossSpan}
        keyTitle={shortNamesTitle(rows)}
      />
    </section>
  );
};

const rules: Readonly<Record<SweepSummary["stop"], string>> = {
  race: "A setting is stopped if a test finds another setting better.",
  halving: "After each stage, the worse half of the settings is stopped.",
  never: "No setting is stopped early.",
};

const Shown = ({ sweep }: { readonly sweep: SweepSummary }) => {
  const { name, seeds, settings, stop } = sweep;
  const read = useMemo(createSweepCurves, []);
  useEffect(() => read.close, [read]);
  const rows = settingRows(sweep, agreeing(runs.value ?? [], read.data.value));
  const shown = shownNumbers(address.value.query.get("settings"), rows);
  const state = sweepState(sweep, rows);
  const show = (number: number, isShown: boolean): void => {
    const next = isShown ? [...shown, number] : shown.filter((one) => one !== number);
    setQuery({ settings: next.toSorted((a, b) => a - b).join(",") });
  };
  return (
    <>
      <p class="run-state">
        <span class={`state state-${state.tone}`}>
          <Sign tone={state.tone} />
          {state.word}
        </span>
        <span class="soft">
          {state.about} {some(settings.length, "setting")}, {some(seeds.length, "seed")} each. {rules[stop]}
        </span>
      </p>
      <Winner sweep={sweep} rows={rows} />
      <Curves name={name} rows={rows} shown={shown} seeds={seeds} read={read} />
      <h2>Settings</h2>
      <SweepTable rows={rows} shown={shown} onShow={show} />
      <p class="sweep-note soft">
        The loss is the lowest loss on the text for choosing, as a mean over the seeds that have ended.{" "}
        {sweep.result === null
          ? "Settings with different numbers of seeds cannot be compared yet."
          : "± is half the width of the 95% confidence interval over seeds."}
      </p>
    </>
  );
};

export const SweepView = ({ name }: { readonly name: string }) => {
  useEffect(followRuns, []);
  const sweep = sweeps.value?.find((one) => one.name === name);
  return (
    <section class="sweep-page">
      <p class="crumb">
        <a href="/runs">Runs</a>
      </p>
      <h1 class="run-title">{name}</h1>
      {listError.value !== undefined && <Notice tone="bad">{listError.value}</Notice>}
      {sweep !== undefined ? (
        <Shown sweep={sweep} />
      ) : sweeps.value === undefined ? (
        listError.value === undefined && <p class="soft waiting">Reading the sweep…</p>
      ) : (
        <p>
          The folder has no sweep with this name. <a href="/runs">See the runs</a>
        </p>
      )}
    </section>
  );
};
