import { type Command, Option } from "commander";
import { alternatives } from "../../core/alternatives.ts";
import { ConfigError } from "../../core/errors.ts";
import { corpusNames } from "../../data/corpora.node.ts";
import type { RunConfig, TrainConfig } from "../../train/config/config.ts";
import { defaultPreset, type PresetName, presetNames, presets } from "../../train/config/presets.ts";
import { memoryWarning } from "../../train/prepare/preflight.ts";
import { resolveConfig } from "../../train/prepare/prepare.ts";
import { type TrainOptions, train } from "../../worker/train.node.ts";
import { chooseBackend } from "../backend-choice.ts";
import { addConfigFlags, changesFromFlags, fieldNamer, readConfigFile } from "../config-flags.ts";
import { pastLosses } from "../display/drawing/past-losses.ts";
import { liveReporter } from "../display/reporters/live.ts";
import { plainReporter } from "../display/reporters/plain.ts";
import { jsonReporter, type TrainReporter } from "../display/reporters/reporter.ts";
import { formatCount } from "../display/texts/format.ts";
import type { RunContext } from "../display/texts/run-text.ts";
import { commandLine } from "../display/texts/shell.ts";
import { exitStatus } from "../exit-status.ts";
import {
  addRunningFlags,
  checkArguments,
  isGiven,
  parseChoice,
  parseFraction,
  parseInteger,
  parsePath,
  type RunningFlags,
} from "../flags.ts";
import { onInterrupt } from "../interrupt.ts";
import { inFlags } from "../option-names.ts";
import { type OutputEnd, onOutputEnd, suggestAfterFailure } from "../output.ts";
import { canRedraw } from "../terminal.ts";

interface TrainFlags extends RunningFlags {
  readonly data?: string;
  readonly valData?: string;
  readonly valFraction?: number;
  readonly preset?: PresetName;
  readonly config?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly stopAt?: number;
  readonly keepLast?: number;
  readonly profile?: true;
  /** false with --no-memory-check. */
  readonly memoryCheck: boolean;
}

const stepsOf = (preset: PresetName): string => formatCount(presets[preset].train.steps);

const examples = `
Examples:
  $ npx foretoken train                                    preset ${defaultPreset}: a first model, ${stepsOf(defaultPreset)} steps
  $ npx foretoken train --data notes.txt --out runs/notes  on a text (or a folder of texts) of your own
  $ npx foretoken train --preset book                      the reference model, ${stepsOf("book")} steps
  $ npx foretoken train --model.nLayer 6 --model.dropout 0.1 --steps 2000 --patience 3
  $ npx foretoken train --config small.json --seed 2       { "preset": "book", "train": { "steps": 500 } }
  $ npx foretoken train --resume runs/notes                go on where a run was interrupted
  $ npx foretoken train --json > events.jsonl              every event, one JSON object a line

A preset's fields are changed first by --config, then by flags. Ctrl-C saves and says how to go on; a second
Ctrl-C quits at once, and what was saved before stays whole.`;

/** Flags that may be given with --resume: none of them changes the results of the run's steps. */
const allowedWithResume = [
  "--resume",
  "--data",
  "--val-data",
  "--backend",
  "--threads",
  "--stop-at",
  "--keep-last",
  "--on-nonfinite",
  "--train.onNonfinite",
  "--profile",
  "--no-memory-check",
  "--json",
  "--verbose",
];

const checkResume = (command: Command): void => {
  const other = command.options.find(
    (option) => isGiven(command, option) && !allowedWithResume.includes(option.long ?? ""),
  );
  if (other === undefined) return;
  throw new ConfigError({
    where: "--resume",
    must: "nothing that would change the run may be given with it",
    got: other.long ?? other.flags,
    hint: "a new run, or --resume with none but --data, --val-data, --backend, --threads, --stop-at, --keep-last, --on-nonfinite, --profile, --no-memory-check and --json",
  });
};

type ConfigFlags = ReturnType<typeof addConfigFlags>;

const resumedRunOptions = (
  command: Command,
  { data, valData }: TrainFlags,
  resume: string,
  configFlags: ConfigFlags,
): TrainOptions => {
  checkResume(command);
  const { train } = changesFromFlags(command, configFlags).changes;
  const { onNonfinite } = (train ?? {}) as Partial<TrainConfig>;
  return { resume, data, valData, onNonfinite };
};

const newRunOptions = async (command: Command, flags: TrainFlags, configFlags: ConfigFlags): Promise<TrainOptions> => {
  const changes = changesFromFlags(command, configFlags);
  const path = flags.config;
  const contents = path === undefined ? {} : await readConfigFile(path);
  const preset =
    flags.preset ??
    (contents.preset === undefined ? defaultPreset : parseChoice(`${path}: preset`, presetNames)(contents.preset));
  const { tokenizer = {}, model = {}, train = {} } = contents;
  const file = path === undefined ? undefined : { path, contents };
  const config = ((): RunConfig => {
    try {
      return resolveConfig(preset, [{ tokenizer, model, train }, changes.changes], fieldNamer(changes, file));
    } catch (error) {
      // A fault in the file is mended in the file.
      const inFile = error instanceof ConfigError && path !== undefined && error.details.where.startsWith(`${path}: `);
      throw inFile ? error : inFlags(error);
    }
  })();
  return {
    preset,
    config,
    data: flags.data,
    valData: flags.valData,
    valFraction: flags.valFraction,
    out: flags.out,
  };
};

const chooseReporter = async (flags: TrainFlags, context: RunContext): Promise<TrainReporter> => {
  if (flags.json === true) return jsonReporter();
  if (!canRedraw(process.stdout)) return plainReporter(context);
  return liveReporter(context, flags.resume === undefined ? undefined : await pastLosses(flags.resume));
};

const runTrain = async (options: TrainOptions, flags: TrainFlags, args: readonly string[]): Promise<void> => {
  const { backend, why, remark } = await chooseBackend(flags);
  let reporter: TrainReporter | undefined;
  // The other reporters print `why` themselves.
  const early: string[] = flags.json === true && remark !== undefined ? [remark] : [];
  const notice = (line: string): void => {
    if (reporter === undefined) early.push(line);
    else reporter.notice(line);
  };
  const interrupt = onInterrupt((status) => {
    // Nothing has begun before the first event, so there is nothing to finish and save.
    if (reporter === undefined) process.exit(status);
    reporter.interrupting();
    notice("Finishing the step and saving (Ctrl-C again quits at once)");
  });
  let outputEnded: OutputEnd | undefined;
  onOutputEnd((how) => {
    outputEnded = how;
    interrupt.abort();
  });
  let out: string | null = null;
  let complete = false;
  let interrupted = false;
  try {
    const events = train({
      ...options,
      backend,
      threads: flags.threads,
      stopAt: flags.stopAt,
      keepLast: flags.keepLast,
      profile: flags.profile,
      memoryCheck: flags.memoryCheck,
      signal: interrupt.signal,
      onNotice: notice,
    });
    for await (const event of events) {
      if (reporter === undefined) {
        reporter = await chooseReporter(flags, { args, why });
        for (const line of early) reporter.notice(line);
      }
      reporter.event(event);
      const warning = event.type === "start" ? memoryWarning(event.memory, event.availableMemory) : undefined;
      if (warning !== undefined) reporter.notice(warning);
      if (event.type === "start") out = event.out;
      if (event.type === "eval") complete = event.reason === "end";
      if (event.type === "done") interrupted = event.reason === "interrupted";
      // Saving is enough if nobody reads the rest of the output.
      if (outputEnded !== undefined && event.type === "checkpoint" && !complete) {
        interrupted = true;
        break;
      }
    }
  } catch (error) {
    throw inFlags(error);
  } finally {
    reporter?.close();
    interrupt.release();
  }
  if (!interrupted) return;
  const toGoOn = out === null ? undefined : commandLine(["train", "--resume", out]);
  if (outputEnded === "failed" && toGoOn !== undefined)
    suggestAfterFailure(`${toGoOn}, where there is room for its output`);
  // A script must not take an interrupted run for a finished one.
  const status = interrupt.status() ?? (outputEnded === "gone" ? exitStatus.readerGone : undefined);
  if (status === undefined) return;
  if ((flags.json === true || outputEnded === "gone") && toGoOn !== undefined)
    reporter?.notice(`saved; to go on: ${toGoOn}`);
  process.exitCode = status;
};

/** `foretoken train`. */
export const declareTrain = (command: Command): void => {
  command
    .usage("[flags]")
    .optionsGroup("Text:")
    .option(
      "--data <text>",
      "a corpus by name, a UTF-8 file, or a folder of them, without hidden files and node_modules (default: tiny-shakespeare)",
      parsePath("--data", corpusNames),
    )
    .option("--val-data <text>", "a text to validate on", parsePath("--val-data", corpusNames))
    .option(
      "--val-fraction <x>",
      "else the last part of the text: this share (default: 0.1)",
      parseFraction("--val-fraction"),
    )
    .optionsGroup("Run:")
    .addOption(
      new Option("--preset <name>", `start from ${alternatives(presetNames)} (default: ${defaultPreset})`).argParser(
        parseChoice("--preset", presetNames),
      ),
    )
    .option(
      "--config <file>",
      'JSON with changes to it: { "preset", "tokenizer", "model", "train" }',
      parsePath("--config"),
    )
    .option("--out <folder>", "the run's folder, new or empty (default: runs/<time>-<preset>)", parsePath("--out"))
    .option("--resume <folder>", "go on with the run in this folder, in place", parsePath("--resume"))
    .option("--stop-at <n>", "end at this step as Ctrl-C would", parseInteger("--stop-at", 1))
    .option(
      "--keep-last <n>",
      "checkpoints to keep: the last one and those before it (default: 1, or as the run began)",
      parseInteger("--keep-last", 1),
    )
    .option("--profile", "time the kernels, and show at the end where the time went")
    .option("--no-memory-check", "run also where more memory is needed than is free");
  const configFlags = addConfigFlags(command);
  addRunningFlags(command)
    .addHelpText("after", examples)
    .allowExcessArguments()
    .action(async (flags: TrainFlags) => {
      checkArguments(command);
      const options =
        flags.resume === undefined
          ? await newRunOptions(command, flags, configFlags)
          : resumedRunOptions(command, flags, flags.resume, configFlags);
      await runTrain(options, flags, process.argv.slice(3));
    });
};
