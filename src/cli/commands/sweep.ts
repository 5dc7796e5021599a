import { dirname, isAbsolute, join } from "node:path";
import type { Command } from "commander";
import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { commandLine } from "../../core/text/shell-word.ts";
import { isCorpusName } from "../../data/corpora.node.ts";
import type { SweepResult } from "../../sweep/result.ts";
import { sweep } from "../../sweep/sweep.node.ts";
import { parseSweep } from "../../sweep/sweep-config.ts";
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
  $ npx foretoken sweep rates.json                 trains all settings, and names the best one
  $ npx foretoken sweep rates.json                 again, after Ctrl-C or a crash: goes on
  $ npx foretoken sweep rates.json --jobs 2 --threads 1
  $ npx foretoken train --data notes.txt --config rates/winner.json   a run of the best setting

The file says what is tried, for example:
  { "data": "notes.txt", "seeds": 3,
    "vary": { "train.learningRate": [0.006, 0.012],
              "model.nLayer": { "from": 2, "to": 6, "step": 2 } } }

"$schema": "node_modules/foretoken/schemas/sweep.json" lets an editor complete it. The first 80% of the text train, the next 10%
choose, and the last 10% measure the winner once. With several seeds a setting ends early where a test finds another one better; the best
one is stopped by that with a probability of at most 5%. "stop": { "kind": "halving" } saves more, without that promise.
"budget": { "steps": 20000 } or { "minutes": 30 } lets fewer of the best settings go on.`;

/** The file's contents, with the place of its text from here; other faults are found later. */
const readSweepFile = async (path: string): Promise<Record<string, unknown>> => {
  const json = await readJsonFile(path, path);
  if (!isRecord(json))
    throw new ConfigError({ where: path, must: "must be an object", got: JSON.stringify(json).slice(0, 40) });
  const { data } = json;
  if (typeof data !== "string" || isCorpusName(data) || isAbsolute(data)) return json;
  return { ...json, data: join(dirname(path), data) };
};

/** The table, and what to do with it. */
const report = (result: SweepResult, seeds: readonly number[], data: string, config: string | null): void => {
  const { stdout } = host;
  const width = stdout.isTTY ? terminalColumns(stdout) : Number.POSITIVE_INFINITY;
  const shown = { ...result, settings: result.settings.map((one) => ({ ...one, name: printableName(one.name) })) };
  writeOut(`\n${sweepTable(shown, seeds, width)}`);
  if (config !== null)
    writeOut(`To train it on all of the text: ${commandLine(["train", "--data", data, "--config", config])}\n`);
};

const runSweep = async (file: string, flags: SweepFlags): Promise<void> => {
  const { threads, jobs, json = false } = flags;
  const contents = await readSweepFile(file);
  const parsed = parseSweep(contents, file);
  const out = flags.out ?? file.replace(/\.json$/u, "");
  if (out === file) {
    const must = "must be given for a file that does not end in .json";
    throw new ConfigError({ where: "--out", must, got: "nothing", hint: `--out ${file}-sweep` });
  }
  const { backend, remark } = await chooseBackend(flags);
  if (remark !== undefined) writeNotice(remark);
  const line = progressLine(json);
  const interrupt = onInterrupt(() => writeNotice("Finishing the steps under way, and saving"));
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
        report(event.result, seeds, parsed.data, event.config);
      }
    }
  } catch (error) {
    line.clear();
    if (!interrupt.signal.aborted) throw inFile(error, file);
    writeNotice(`saved; to go on: ${commandLine(["sweep", file, ...(flags.out === undefined ? [] : ["--out", out])])}`);
    host.exitCode = interrupt.status();
  } finally {
    line.clear();
    interrupt.release();
  }
};

/** An error about the configuration in words about its file. */
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
    .argument("<file>", "JSON that says what is tried", parsePath("<file>"))
    .optionsGroup("Sweep: its folder, and runs at a time")
    .option(
      "--out <folder>",
      "the sweep's folder: new, or that of this sweep, which goes on (default: the file without .json)",
      parsePath("--out"),
    )
    .option("--jobs <n>", "runs that train at a time; --threads is of each", parseInteger("--jobs", 1, 256), 1);
  addRunningFlags(command)
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (file: string, flags: SweepFlags) => {
      checkArguments(command);
      await runSweep(file, flags);
    });
};
