/** Reads the runs of a chart from their folders. */
import { basename, resolve } from "node:path";
import { extensionParts, extensionWord } from "../config/extend.ts";
import { checkBoolean, checkChoice, checkKeys, checkPaths } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { type ListedRun, listRuns } from "../runs/list/runs.node.ts";
import { readColumns } from "../runs/list/series.node.ts";
import { type DrawnRun, metricNames, type PlotOptions, xNames } from "./curves.ts";
import { differencesOf } from "./differences.ts";
import { mostRuns } from "./style.ts";
import { plotSvg } from "./svg.ts";

/** Reads the run in a folder. @throws ConfigError if there is no run, CheckpointError if the run cannot be read. */
const findRun = async (path: string): Promise<ListedRun> => {
  const { runs, skipped } = await listRuns(path);
  const [first] = runs;
  const must = "must be a run's folder";
  if (first !== undefined && resolve(first.path) === resolve(path)) return first;
  const own = skipped.find((one) => resolve(one.path) === resolve(path));
  if (own !== undefined) throw new ConfigError({ where: path, must, got: own.reason });
  const many = runs.length.toLocaleString("en-US");
  const got = first === undefined ? "a folder without run.json" : `a folder with ${many} run${many === "1" ? "" : "s"}`;
  // Maximum number of runs in one chart.
  const named = runs.slice(0, 8).map((run) => run.path);
  throw new ConfigError({ where: path, must, got, hint: named.length === 0 ? "npx foretoken runs" : named.join(" ") });
};

/** Distinct names of the runs. A name is the folder's name or, if two names are equal, the path. */
const namesOf = (runs: readonly ListedRun[]): readonly string[] => {
  const names = runs.map(({ path }) => basename(resolve(path)));
  return new Set(names).size === names.length ? names : runs.map(({ path }) => path);
};

/** Fields that distinguish runs: the text, and the configuration fields that affect results. */
const described = (runs: readonly ListedRun[]): readonly unknown[] => {
  // The same text may have several names, so the name does not distinguish runs.
  const isOneText = new Set(runs.map(({ corpusSha256 }) => corpusSha256)).size === 1;
  return runs.map(({ config, corpus, corpusSha256 }) => {
    const { extensions: _, checkpointInterval: __, ...train } = config.train;
    const extended = extensionParts(config.train).join("; ");
    return {
      ...(isOneText ? {} : { text: `${corpus} (${corpusSha256.slice(0, 8)})` }),
      ...config,
      train: { ...train, ...(extended === "" ? {} : { [extensionWord(config.train)]: extended }) },
    };
  });
};

const drawnRuns = async (runs: readonly ListedRun[]): Promise<readonly DrawnRun[]> => {
  const names = namesOf(runs);
  const differences = differencesOf(described(runs));
  const drawn: DrawnRun[] = [];
  for (const [i, { path, config }] of runs.entries()) {
    const { batchSize, gradAccumSteps } = config.train;
    drawn.push({
      name: names[i] ?? path,
      numbers: await readColumns(path),
      tokensPerStep: batchSize * gradAccumSteps * config.model.contextLength,
      differences: differences[i] ?? [],
    });
  }
  return drawn;
};

/** Runs to draw. */
interface OpenedRuns {
  readonly runs: readonly ListedRun[];
  /** The same runs, together with their numbers. */
  readonly drawn: readonly DrawnRun[];
}

/**
 * Reads runs to draw them.
 * @param where the caller, for errors.
 * @throws ConfigError for too many runs, a folder that is not a run, or runs without any step.
 * @throws CheckpointError for a run that cannot be read.
 */
export const openRuns = async (where: string, paths: readonly string[]): Promise<OpenedRuns> => {
  if (paths.length > mostRuns) {
    const must = `a chart can show at most ${mostRuns} runs`;
    throw new ConfigError({ where, must, got: String(paths.length), hint: "fewer runs" });
  }
  const runs: ListedRun[] = [];
  for (const path of paths) runs.push(await findRun(path));
  const drawn = await drawnRuns(runs);
  if (drawn.every(({ numbers: { steps, evals } }) => steps.step.length + evals.step.length === 0)) {
    throw new ConfigError({ where: paths.join(" "), must: "a run must have steps to draw", got: "none yet" });
  }
  return { runs, drawn };
};

/**
 * Options of `plotRuns`.
 * @experimental
 */
export interface PlotRunsOptions {
  /** Metric on the vertical axis. `loss` is in nats per token and includes evaluations. Default: `loss`. */
  readonly metric?: PlotOptions["metric"] | undefined;
  /** Unit of the horizontal axis: steps, tokens processed, or the time of the steps. Default: `steps`. */
  readonly x?: PlotOptions["x"] | undefined;
  /** Whether the vertical axis is logarithmic. Default false. */
  readonly log?: boolean | undefined;
}

/**
 * Draws the curves of runs in one chart, like `npx foretoken plot`: smoothed losses of the steps, and the evaluations.
 * No files are changed.
 * @param folders one to eight folders of runs, in the order of the legend.
 * @returns an SVG file as text, without scripts, with light and dark colours.
 * @throws ConfigError for a folder that is not a run, more than eight folders, or runs without any step.
 * @throws CheckpointError for a run that cannot be read.
 * @experimental
 * @example
 * ```ts
 * import { writeFileSync } from "node:fs";
 * import { plotRuns } from "foretoken";
 *
 * writeFileSync("notes.svg", await plotRuns(["runs/notes"], { log: true }));
 * ```
 */
export const plotRuns = async (folders: readonly string[], options: PlotRunsOptions = {}): Promise<string> => {
  checkPaths("plotRuns: folders", folders);
  checkKeys("plotRuns", options, ["metric", "x", "log"]);
  const { metric = "loss", x = "steps", log = false } = options;
  checkChoice("plotRuns: metric", metric, metricNames);
  checkChoice("plotRuns: x", x, xNames);
  checkBoolean("plotRuns: log", log);
  const { drawn } = await openRuns("plotRuns", folders);
  return plotSvg(drawn, { metric, x, log });
};
