import { dirname, isAbsolute, join } from "node:path";
import type { Command } from "commander";
import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { commandLine } from "../../core/text/shell-word.ts";
import { isCorpusName } from "../../data/corpora.node.ts";
import { isHubName } from "../../pretrained/files/hub-name.ts";
import type { SweepOptions } from "../../sweep/open.node.ts";
import type { SweepResult } from "../../sweep/result.ts";
import { sweep } from "../../sweep/sweep.node.ts";
import { type ParsedSweep, parseSweep } from "../../sweep/sweep-config.ts";
import { formatCount, formatPlural } from "../display/texts/format.ts";
import { sweepTable } from "../display/texts/sweep-table.ts";
import { chooseBackend } from "../flags/backend-choice.ts";
import { readJsonFile } from "../flags/config-flags.ts";
import { addRunningFlags, checkArguments, parseInteger, parsePath, type RunningFlags } from "../flags/flags.ts";
import { notes } from "../help.ts";
import { host } from "../process/host.ts";
import { onInterrupt } from "../process/interrupt.ts";
import { onOutputEnd, writeJson, writeNotice, writeOut } from "../process/output.ts";
import { progressLine } from "../process/progress-line.ts";
import { printableName, terminalColumns } from "../process/terminal.ts";
import { trainTask, writeJobArray } from "../sweep/job-array.ts";

interface SweepFlags extends RunningFlags {
  readonly out?: string;
  readonly jobs?: number;
  readonly slurm?: string;
  readonly only?: number;
}

const examples = `
Examples:
  $ npx foretoken sweep rates.json                 trains all settings and names the best one
  $ npx foretoken sweep rates.json                 the same command resumes after Ctrl-C or a crash
  $ npx foretoken sweep rates.json --jobs 2 --threads 1
  $ npx foretoken sweep rates.json --slurm jobs    writes scripts for Slurm; bash jobs/submit.sh submits them
  $ npx foretoken train --data notes.txt --config rates/winner.json   a run with the best setting

The file lists the settings to try, for example:
  { "data": "notes.txt", "seeds": 3,
    "vary": { "train.learningRate": [0.006, 0.012],
              "model.nLayer": { "from": 2, "to": 6, "step": 2 } } }

"$schema": "node_modules/foretoken/schemas/sweep.json" lets an editor complete the file. The settings train on the first 80% of the text.
The next 10% are for choosing the winner. The last 10% are for measuring the winner, only once. With several seeds, a setting is stopped early when a
statistical test finds another setting better. The probability that the test stops the best setting is at most 5%. "stop": { "kind": "race", "per": "comparison" } saves twice as many steps, but
more often stops the best of settings that are almost equal. "stop": { "kind": "halving" } gives no guarantee at all.
With "budget": { "steps": 20000 } or { "minutes": 30 }, fewer settings are continued, so that the sweep fits the budget.`;

/**
 * Reads the sweep's file. If the paths of the text and of the teachers are relative, they are resolved from the folder
 * of this file. Other mistakes are checked later.
 */
const readSweepFile = async (path: string): Promise<Record<string, unknown>> => {
  const json = await readJsonFile(path, path);
  if (!isRecord(json))
    throw new ConfigError({ where: path, must: "must be an object", got: JSON.stringify(json).slice(0, 40) });
  const { data, teacher } = json;
  const fromFile = (named: unknown): unknown =>
    typeof named !== "string" || isAbsolute(named) ? named : join(dirname(path), named);
  const modelFromFile = (named: unknown): unknown =>
    typeof named === "string" && isHubName(named) ? named : fromFile(named);
  return {
    ...json,
    ...(typeof data !== "string" || isCorpusName(data) ? {} : { data: fromFile(data) }),
    ...(teacher === undefined
      ? {}
      : { teacher: Array.isArray(teacher) ? teacher.map(modelFromFile) : modelFromFile(teacher) }),
  };
};

/** Prints the table and the command to run next. */
const report = (
  result: SweepResult,
  seeds: readonly number[],
  { data, teacher = [] }: Pick<ParsedSweep, "data" | "teacher">,
  config: string | null,
): void => {
  const { stdout } = host;
  const width = stdout.isTTY ? terminalColumns(stdout) : Number.POSITIVE_INFINITY;
  const shown = { ...result, settings: result.settings.map((one) => ({ ...one, name: printableName(one.name) })) };
  writeOut(`\n${sweepTable(shown, seeds, width)}`);
  if (config === null) return;
  const teachers = [teacher].flat().flatMap((one) => ["--teacher", one]);
  const train = commandLine(["train", "--data", data, ...teachers, "--config", config]);
  writeOut(`To train the best setting on the whole text: ${train}\n`);
};

/** @throws ConfigError for flags that cannot be used together. */
const checkFlags = ({ slurm, only, jobs }: SweepFlags): void => {
  const other = slurm !== undefined ? "--slurm" : jobs !== undefined ? "--jobs" : undefined;
  if (only === undefined || other === undefined) return;
  throw new ConfigError({
    where: "--only",
    must: `cannot be used with ${other}`,
    got: "both",
    hint: "only one of them",
  });
};

/** Does what the flags ask for: all runs, one run, or scripts. */
const runSweep = async (file: string, flags: SweepFlags): Promise<void> => {
  const { threads, jobs, slurm, only, json = false } = flags;
  checkFlags(flags);
  const contents = await readSweepFile(file);
  const parsed = parseSweep(contents, file);
  const out = flags.out ?? file.replace(/\.json$/u, "");
  if (out === file) {
    const must = "must be given if the name of the sweep's file does not end with .json";
    throw new ConfigError({ where: "--out", must, got: "nothing", hint: `--out ${file}-sweep` });
  }
  const { backend, remark } = await chooseBackend(flags);
  if (remark !== undefined) writeNotice(remark);
  const line = progressLine(json);
  const interrupt = onInterrupt(() => writeNotice("Finishing the current steps, then saving"));
  onOutputEnd(interrupt.abort);
  const onNotice = (text: string): void => {
    line.clear();
    writeNotice(text);
  };
  const options = { out, backend, threads, signal: interrupt.signal, onNotice };
  try {
    if (slurm !== undefined) await writeJobArray(parsed, options, { folder: slurm, file, jobs, json });
    else if (only !== undefined) await trainTask(parsed, options, { number: only, json });
    else await trainAll(parsed, { ...options, jobs }, line, json);
  } catch (error) {
    line.clear();
    if (!interrupt.signal.aborted) throw inFile(error, file);
    const more = [
      ...(flags.out === undefined ? [] : ["--out", out]),
      ...(only === undefined ? [] : ["--only", String(only)]),
    ];
    writeNotice(`saved; to resume: ${commandLine(["sweep", file, ...more])}`);
    host.exitCode = interrupt.status();
  } finally {
    line.clear();
    interrupt.release();
  }
};

/** Runs the sweep, and prints its progress and its table. */
const trainAll = async (
  parsed: ParsedSweep,
  options: SweepOptions,
  line: ReturnType<typeof progressLine>,
  json: boolean,
): Promise<void> => {
  let seeds: readonly number[] = [];
  let [runs, done] = [0, 0];
  const say = (text: string): void => {
    line.clear();
    if (!json) writeOut(`${text}\n`);
  };
  for await (const event of sweep(parsed, options)) {
    if (json) writeJson(event);
    if (event.type === "start") {
      ({ seeds } = event);
      const all = `${formatPlural(event.settings.length, "setting")}, ${formatPlural(seeds.length, "seed")} each`;
      say(`${all}: at most ${formatCount(event.plannedSteps)} steps, in ${printableName(event.out)}`);
    } else if (event.type === "phase") {
      [runs, done] = [event.runs, 0];
      say(`stage ${event.phase}: ${formatPlural(event.settings, "setting")}, ${formatPlural(event.runs, "run")}`);
    } else if (event.type === "run") {
      done++;
      const { setting, seed, natsPerCharacter, failure } = event;
      if (failure !== null) say(`setting ${setting}, seed ${seed} failed: ${printableName(failure)}`);
      else
        line.update(
          `${done} of ${runs} runs; setting ${setting}, seed ${seed}: ${natsPerCharacter?.toFixed(4)} nats per character`,
        );
    } else if (!json) {
      line.clear();
      report(event.result, seeds, parsed, event.config);
    }
  }
};

/** Rewrites an error of the sweep's configuration so that it names the file. */
const inFile = (error: unknown, file: string): unknown =>
  error instanceof ForetokenError &&
  /^(?:sweep: (?:vary|settings)|setting \d|budget|train\.)/u.test(error.details.where)
    ? new ConfigError({
        ...error.details,
        where: `${file}: ${error.details.where.replace(/^sweep: /u, "")}`,
        cause: error,
      })
    : error;

/** `foretoken sweep`. */
export const declareSweep = (command: Command): void => {
  command
    .usage("<file> [flags]")
    .argument("<file>", "JSON file with the settings to try", parsePath("<file>"))
    .optionsGroup("Sweep: folder, number of runs at a time, and job arrays")
    .option(
      "--out <folder>",
      "the sweep's folder: a new folder, or the folder of this sweep to resume it (default: the file's name without .json)",
      parsePath("--out"),
    )
    .option(
      "--jobs <n>",
      "number of runs that train at the same time; each run uses --threads threads (default: 1; with --slurm: no limit)",
      parseInteger("--jobs", 1, 256),
    )
    .option(
      "--slurm <folder>",
      "write scripts for Slurm into this folder: a job array with a task for each run, and a job that makes the table (default: none)",
      parsePath("--slurm"),
    )
    .option(
      "--only <i>",
      "train only run i, for a task of a job array: all seeds of setting 1, then all seeds of setting 2, ... (default: all runs)",
      parseInteger("--only", 1, 100_000),
    );
  addRunningFlags(command)
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (file: string, flags: SweepFlags) => {
      checkArguments(command);
      await runSweep(file, flags);
    });
};
