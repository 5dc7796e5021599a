import { dirname, isAbsolute, join } from "node:path";
import type { Command } from "commander";
import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { commandLine } from "../../core/text/shell-word.ts";
import { isCorpusName } from "../../data/corpora.node.ts";
import { isHubName } from "../../pretrained/files/hub.node.ts";
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

interface SweepFlags extends RunningFlags {
  readonly out?: string;
  readonly jobs: number;
}

const examples = `
Examples:
  $ npx foretoken sweep rates.json                 trains all settings and names the best one
  $ npx foretoken sweep rates.json                 the same command resumes after Ctrl-C or a crash
  $ npx foretoken sweep rates.json --jobs 2 --threads 1
  $ npx foretoken train --data notes.txt --config rates/winner.json   a run with the best setting

The file lists the settings to try, for example:
  { "data": "notes.txt", "seeds": 3,
    "vary": { "train.learningRate": [0.006, 0.012],
              "model.nLayer": { "from": 2, "to": 6, "step": 2 } } }

"$schema": "node_modules/foretoken/schemas/sweep.json" lets an editor complete the file. The settings train on the first 80% of the text.
The next 10% are for choosing the winner. The last 10% are for measuring the winner, only once. With several seeds, a setting is stopped early when a
statistical test finds another setting better. The probability that the test stops the best setting is at most 5%. "stop": { "kind": "halving" } saves more steps, without that guarantee.
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

const runSweep = async (file: string, flags: SweepFlags): Promise<void> => {
  const { threads, jobs, json = false } = flags;
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
  let seeds: readonly number[] = [];
  let [runs, done] = [0, 0];
  const say = (text: string): void => {
    line.clear();
    if (!json) writeOut(`${text}\n`);
  };
  try {
    const notice = (text: string): void => {
      line.clear();
      writeNotice(text);
    };
    for await (const event of sweep(parsed, {
      out,
      jobs,
      backend,
      threads,
      signal: interrupt.signal,
      onNotice: notice,
    })) {
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
        if (failure !== null) say(`setting ${setting}, seed ${seed} failed: ${failure}`);
        else
          line.update(
            `${done} of ${runs} runs; setting ${setting}, seed ${seed}: ${natsPerCharacter?.toFixed(4)} nats per character`,
          );
      } else if (!json) {
        line.clear();
        report(event.result, seeds, parsed, event.config);
      }
    }
  } catch (error) {
    line.clear();
    if (!interrupt.signal.aborted) throw inFile(error, file);
    writeNotice(
      `saved; to resume: ${commandLine(["sweep", file, ...(flags.out === undefined ? [] : ["--out", out])])}`,
    );
    host.exitCode = interrupt.status();
  } finally {
    line.clear();
    interrupt.release();
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
    .optionsGroup("Sweep: folder, and number of runs at a time")
    .option(
      "--out <folder>",
      "the sweep's folder: a new folder, or the folder of this sweep to resume it (default: the file's name without .json)",
      parsePath("--out"),
    )
    .option(
      "--jobs <n>",
      "number of runs that train at the same time; each run uses --threads threads",
      parseInteger("--jobs", 1, 256),
      1,
    );
  addRunningFlags(command)
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (file: string, flags: SweepFlags) => {
      checkArguments(command);
      await runSweep(file, flags);
    });
};
