/** Rows of a sweep's table: settings with their runs, losses and states. */
import type { RunSummary, SweepSummary } from "../../src/serve/studio/protocol.ts";
import { count, some } from "../parts/format.ts";
import { isLive, type StateWords, type Tone } from "../parts/state-words.ts";

/** A run of a setting. */
export interface SeedRun {
  readonly seed: number;
  /** Name of the run in the list of runs. */
  readonly name: string;
  /** Undefined before the run has begun. */
  readonly run: RunSummary | undefined;
}

type Ending = NonNullable<SweepSummary["settings"][number]["ending"]>;

export interface SettingRow {
  /** From 1, as in the names of the runs. */
  readonly number: number;
  readonly name: string;
  readonly parts: SweepSummary["settings"][number]["parts"];
  readonly runs: readonly SeedRun[];
  /** Steps of all its runs so far. */
  readonly step: number;
  /** Steps that all its runs have without an early end; null if unknown. */
  readonly steps: number | null;
  /**
   * Mean of the lowest losses of the runs that have ended, nats per character. While none has ended, of all runs so far;
   * null before the first evaluation.
   */
  readonly loss: number | null;
  /** Whether no run has ended, so that the loss is one of the moment. */
  readonly isSoFar: boolean;
  /** Distance from the best setting with its 95% interval; empty without a result. */
  readonly above: string;
  /** Whether the interval of the distance contains 0: with these seeds, the setting may be as good as the best one. */
  readonly mayBeAsGood: boolean;
  readonly isWinner: boolean;
  readonly ending: Ending | null;
  readonly state: StateWords;
}

const p = (value: number): string => (value < 0.001 ? "p\u00a0<\u00a00.001" : `p\u00a0=\u00a0${value.toFixed(3)}`);

/** Why a setting has ended, in a word and a sentence. */
const endingWords = (ending: Ending, seeds: number): StateWords => {
  switch (ending.kind) {
    case "finished":
      return { tone: "good", word: "Finished", about: "" };
    case "race":
      return ending.seeds < seeds
        ? {
            tone: "still",
            word: `Stopped after ${some(ending.seeds, "seed")}`,
            about: `Another setting is better (${p(ending.p)}).`,
          }
        : { tone: "still", word: "Not the best", about: `Another setting is better (${p(ending.p)}).` };
    case "halving":
      return {
        tone: "still",
        word: `Stopped at ${+(100 * ending.share).toFixed(2)}% of its steps`,
        about: "It was in the worse half.",
      };
    case "budget":
      return { tone: "still", word: "Stopped", about: "It did not fit into the budget." };
    case "failed":
      return { tone: "bad", word: "Failed", about: ending.reason };
  }
};

const hasEnded = ({ state }: RunSummary): boolean => state === "finished" || state === "patience";

const stateOf = (ending: Ending | null, runs: readonly SeedRun[], seeds: number): StateWords => {
  if (ending !== null) return endingWords(ending, seeds);
  const begun = runs.flatMap(({ run }) => run ?? []);
  if (begun.some(isLive)) return { tone: "live", word: "Training", about: "" };
  if (begun.length === 0) return { tone: "still", word: "Not begun", about: "" };
  const done = begun.filter(hasEnded).length;
  const cut = begun.length - done;
  if (done === seeds) return { tone: "good", word: "Done", about: `${some(seeds, "seed")}.` };
  return {
    tone: "still",
    word: "Waiting",
    about: `${count(done)} of ${some(seeds, "seed")} done${cut === 0 ? "" : `, ${count(cut)} interrupted`}.`,
  };
};

const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;

const mean = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Settings, the best one first. Settings that have ended early come last. The order of equal settings is the order of
 * the file.
 */
export const settingRows = (sweep: SweepSummary, runs: readonly RunSummary[]): readonly SettingRow[] => {
  const { seeds, result } = sweep;
  const byName = new Map(runs.map((run) => [run.name, run]));
  const rows = sweep.settings.map(({ name, parts, steps, ending, runs: names }, i): SettingRow => {
    const own = names.map((run, k) => ({ seed: seeds[k] ?? 0, name: run, run: byName.get(run) }));
    const done = result?.settings[i];
    const begun = own.flatMap(({ run }) => run ?? []);
    const ended = begun.filter(hasEnded);
    const isSoFar = done === undefined && ended.length === 0;
    const best = (isSoFar ? begun : ended).flatMap((run) => run.best?.natsPerCharacter ?? []);
    const isWinner = result?.winner === i + 1;
    const above = done?.aboveWinner ?? null;
    return {
      ...{ number: i + 1, name, parts, runs: own, isWinner, ending },
      step: done?.steps ?? own.reduce((sum, { run }) => sum + (run?.step ?? 0), 0),
      steps: steps === null ? null : steps * seeds.length,
      loss: done === undefined ? mean(best) : done.natsPerCharacter,
      isSoFar,
      mayBeAsGood: !isWinner && above?.halfWidth95 != null && above.natsPerCharacter <= above.halfWidth95,
      above: isWinner
        ? "best"
        : above === null
          ? ""
          : `${signed(above.natsPerCharacter)}${above.halfWidth95 === null ? "" : `\u00a0±\u00a0${above.halfWidth95.toFixed(4)}`}`,
      state: stateOf(ending, own, seeds.length),
    };
  });
  const isOut = ({ ending }: SettingRow): number => (ending === null || ending.kind === "finished" ? 0 : 1);
  const lossOf = ({ loss }: SettingRow): number => loss ?? Number.MAX_VALUE;
  return rows.toSorted((a, b) => isOut(a) - isOut(b) || lossOf(a) - lossOf(b) || a.number - b.number);
};

const words = (tone: Tone, word: string, about: string): StateWords => ({ tone, word, about });

/** State of a sweep. */
export const sweepState = ({ isRunning, result, phase }: SweepSummary, runs: readonly SettingRow[]): StateWords => {
  if (result !== null) return words("good", "Finished", "All settings have ended.");
  const isTraining = runs.some((row) => row.runs.some(({ run }) => run !== undefined && isLive(run)));
  if (isRunning || isTraining)
    return words(
      "live",
      "Running",
      phase === null ? "Runs are training, or the winner is measured." : `Stage ${phase}.`,
    );
  return words("still", "Stopped", "The same command resumes the sweep.");
};

/** Number of settings with their own colour and dashes. */
export const mostShown = 8;

/**
 * Numbers of the settings whose curves are shown, rising. By default the best settings of a finished sweep, and the
 * first settings of any other sweep, so that no colour changes while the sweep runs.
 */
export const shownNumbers = (chosen: string | null, rows: readonly SettingRow[]): readonly number[] => {
  const all = rows.map(({ number }) => number);
  if (chosen !== null) {
    const asked = new Set(chosen.split(",").map(Number));
    return all
      .filter((number) => asked.has(number))
      .slice(0, mostShown)
      .toSorted((a, b) => a - b);
  }
  const first = rows.some(({ isWinner }) => isWinner) ? all : all.toSorted((a, b) => a - b);
  return first.slice(0, mostShown).toSorted((a, b) => a - b);
};
