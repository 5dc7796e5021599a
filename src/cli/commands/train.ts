import { type Command, Option } from "commander";
import type { RunConfig, TrainConfig } from "../../config/config.ts";
import { merge, type PartialConfig } from "../../config/merge.ts";
import { mostTemplate } from "../../config/options.ts";
import { defaultPreset, type PresetName, presetNames, presets } from "../../config/presets.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { endsRanksSoon, hasLauncher, launchedRank, separateTasks } from "../../core/system/launched-rank.node.ts";
import { readRegularFile, UnreadableFileError } from "../../core/system/regular-file.node.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { commandLine } from "../../core/text/shell-word.ts";
import { corpusNames, isCorpusName } from "../../data/corpora.node.ts";
import { type ExtendKind, extendKinds } from "../../optim/config.ts";
import { memoryWarning } from "../../train/prepare/preflight.ts";
import { planConfig } from "../../train/prepare/prepare.ts";
import { type TrainOptions, train } from "../../worker/train.node.ts";
import { pastLosses } from "../display/drawing/past-losses.ts";
import { liveReporter } from "../display/reporters/live.ts";
import { plainReporter } from "../display/reporters/plain.ts";
import { jsonReporter, silentReporter, type TrainReporter } from "../display/reporters/reporter.ts";
import { formatCount } from "../display/texts/format.ts";
import type { RunContext } from "../display/texts/run-text.ts";
import { chooseBackend } from "../flags/backend-choice.ts";
import {
  addConfigFlags,
  changesFromFlags,
  type FlagChanges,
  fieldNamer,
  readConfigFile,
} from "../flags/config-flags.ts";
import {
  addRunningFlags,
  checkArguments,
  isGiven,
  parseChoice,
  parseFraction,
  parseInteger,
  parsePath,
  type RunningFlags,
} from "../flags/flags.ts";
import { inFlags } from "../flags/option-names.ts";
import { notes } from "../help.ts";
import { exitStatus } from "../process/exit-status.ts";
import { host } from "../process/host.ts";
import { type EndingSignal, onInterrupt } from "../process/interrupt.ts";
import { type OutputEnd, onOutputEnd, suggestAfterFailure, writeNotice } from "../process/output.ts";
import { isFollower } from "../process/rank.ts";
import { canRedraw } from "../process/terminal.ts";
import { openTrainStudio, type TrainStudio } from "../train-studio.ts";

interface TrainFlags extends RunningFlags {
  readonly data?: string;
  readonly valData?: string;
  readonly valFraction?: number;
  readonly preset?: PresetName;
  readonly config?: string;
  readonly out?: string;
  readonly initFrom?: string;
  readonly chatTemplate?: string;
  readonly resume?: string;
  readonly extend?: ExtendKind;
  readonly stopAt?: number;
  readonly keepLast?: number;
  readonly profile?: true;
  readonly studio?: true;
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
  $ npx foretoken train --resume runs/notes --steps 3000   train longer: 3,000 steps in all
  $ npx foretoken train --init-from runs/notes --data letters.txt  a new run from its weights
  $ npx foretoken train --init-from model.gguf --data chat.jsonl   on the answers of conversations
  $ npx foretoken train --json > events.jsonl              every event, one JSON object a line

With --resume and --steps the learning rate rises, over --train.warmupSteps, to that of a run of so many steps from
its beginning, and follows it to the end (--extend stretch). --extend restart: it rises to the plan's rate and falls
over the added steps, as in a new run. --extend constant: it stays as it was last. A constant rate stays in any case.

A .jsonl file has documents, one on each line: {"messages": [{"role", "content"}, …]}, of which the loss counts the
assistant's answers, {"prompt", "completion"}, or {"text"}. They do not see each other. --rows packed: as many of them in a
row as fit into the context; --rows one: one document in a row.

A preset's fields, or those that follow from a text of your own, are changed first by --config, then by flags.
Ctrl-C saves and says how to go on; a second Ctrl-C quits at once, and what was saved before stays whole.`;

/** Flags that may be given with --resume: none of them changes the results of the steps that are done. */
const allowedWithResume = [
  "--resume",
  "--steps",
  "--train.steps",
  "--extend",
  "--data",
  "--val-data",
  "--backend",
  "--threads",
  "--stop-at",
  "--keep-last",
  "--on-nonfinite",
  "--train.onNonfinite",
  "--profile",
  "--studio",
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
    hint: "a new run, or --resume with --steps, --extend, --data or a flag of how it runs, as --threads, --stop-at or --json",
  });
};

/** @throws ConfigError for a file that is no template. */
const readChatTemplate = async (path: string): Promise<string> => {
  const refuse = (got: string, cause?: unknown): never => {
    const must = `must name a file with a template in Jinja, of at most ${mostTemplate} bytes`;
    throw new ConfigError({ where: `--chat-template ${path}`, must, got, ...(cause === undefined ? {} : { cause }) });
  };
  const bytes = await readRegularFile(path, { maxBytes: mostTemplate, followLinks: true }).catch((cause: unknown) =>
    refuse(cause instanceof UnreadableFileError ? cause.got : (systemErrorCode(cause) ?? String(cause)), cause),
  );
  return bytes.length === 0 ? refuse("an empty file") : new TextDecoder().decode(bytes);
};

type ConfigFlags = ReturnType<typeof addConfigFlags>;

const resumedRunOptions = (
  command: Command,
  { data, valData, extend }: TrainFlags,
  resume: string,
  configFlags: ConfigFlags,
): TrainOptions => {
  checkResume(command);
  const { train } = changesFromFlags(command, configFlags).changes;
  const { onNonfinite, steps } = (train ?? {}) as Partial<TrainConfig>;
  return { resume, data, valData, onNonfinite, steps, extend };
};

/** The changes that depend on no model. */
const ofTraining = ({ changes: { train = {}, lora } }: FlagChanges) => ({
  train,
  ...(lora === undefined ? {} : { lora }),
});

const newRunOptions = async (command: Command, flags: TrainFlags, configFlags: ConfigFlags): Promise<TrainOptions> => {
  if (flags.extend !== undefined) {
    throw new ConfigError({ where: "--extend", must: "must go with --resume and --steps", got: "no --resume" });
  }
  const changes = changesFromFlags(command, configFlags);
  const path = flags.config;
  const contents = path === undefined ? {} : await readConfigFile(path);
  const named =
    flags.preset ??
    (contents.preset === undefined ? undefined : parseChoice(`${path}: preset`, presetNames)(contents.preset));
  // Of a text of one's own, and of a given model, the defaults follow from their sizes.
  const own = flags.initFrom !== undefined || (flags.data !== undefined && !isCorpusName(flags.data));
  const preset = named ?? (own ? undefined : defaultPreset);
  const { tokenizer = {}, model = {}, train = {} } = contents;
  const lora = contents.lora === undefined ? {} : { lora: contents.lora };
  const file = path === undefined ? undefined : { path, contents };
  const { initFrom } = flags;
  const config = ((): PartialConfig<RunConfig> => {
    try {
      const name = fieldNamer(changes, file);
      // The model of other weights is not read yet: the run checks its fields.
      const known =
        initFrom === undefined
          ? [{ tokenizer, model, ...lora, train }, changes.changes]
          : [{ ...lora, train }, ofTraining(changes)];
      const { expected } = planConfig(preset, known, name);
      if (preset !== undefined && initFrom === undefined) return expected;
      const asked = merge({ tokenizer, model, ...lora, train }, changes.changes) as PartialConfig<RunConfig>;
      return preset === undefined ? asked : { ...asked, train: expected.train };
    } catch (error) {
      // A fault in the file is mended in the file.
      const inFile = error instanceof ConfigError && path !== undefined && error.details.where.startsWith(`${path}: `);
      throw inFile ? error : inFlags(error);
    }
  })();
  return {
    preset,
    initFrom,
    config,
    chatTemplate: flags.chatTemplate === undefined ? undefined : await readChatTemplate(flags.chatTemplate),
    data: flags.data,
    valData: flags.valData,
    valFraction: flags.valFraction,
    out: flags.out,
  };
};

/** @param out the run's folder, whichever of its checkpoints was named. */
const chooseReporter = async (flags: TrainFlags, context: RunContext, out: string | null): Promise<TrainReporter> => {
  if (isFollower()) return silentReporter();
  if (flags.json === true) return jsonReporter();
  // A launcher gives a rank a terminal of its own, wherever its output goes.
  if (hasLauncher() || !canRedraw(host.stdout)) return plainReporter(context);
  return liveReporter(context, flags.resume === undefined || out === null ? undefined : await pastLosses(out));
};

const quits = (again: string, savedStep: number | undefined): string => {
  const left =
    savedStep === undefined ? "with nothing saved yet" : `leaving the checkpoint of step ${formatCount(savedStep)}`;
  return ` (${again} quits at once, ${left})`;
};

/** The effect of a second signal. Terminals that are closed send SIGHUP more than once. */
const secondSignal: Readonly<Partial<Record<EndingSignal, (savedStep: number | undefined) => string>>> = {
  SIGINT: (savedStep) => quits("Ctrl-C again", savedStep),
  SIGTERM: (savedStep) => quits("a second SIGTERM", savedStep),
};

/** What to do about a launcher that does not wait for a save. */
const soonEnded =
  "mpirun may end the ranks in a second, before they have saved: --mca odls_base_sigkill_timeout 15 gives them 15";

const runTrain = async (options: TrainOptions, flags: TrainFlags): Promise<void> => {
  const tasks = separateTasks();
  if (tasks !== undefined) {
    writeNotice(
      `srun has started ${tasks} tasks without MPI: each trains its own model (one model on all: srun --mpi=pmix)`,
    );
  }
  const { backend, why, remark } = await chooseBackend(flags);
  let reporter: TrainReporter | undefined;
  // The other reporters print `why` themselves.
  const early: string[] = flags.json === true && remark !== undefined ? [remark] : [];
  const notice = (line: string): void => {
    if (reporter === undefined) early.push(line);
    else reporter.notice(line);
  };
  /** Step of the run's last checkpoint; undefined if there is none yet. */
  let savedStep: number | undefined;
  const interrupt = onInterrupt((status, signal) => {
    // Nothing has begun before the first event, so there is nothing to finish and save.
    if (reporter === undefined) host.exit(status);
    reporter.interrupting();
    notice(`Finishing the step and saving${secondSignal[signal]?.(savedStep) ?? ""}`);
    if (signal !== "SIGHUP" && endsRanksSoon()) notice(soonEnded);
  });
  let outputEnded: OutputEnd | undefined;
  onOutputEnd((how) => {
    outputEnded = how;
    interrupt.abort();
  });
  let out: string | null = null;
  let studio: TrainStudio | undefined;
  let complete = false;
  let interrupted = false;
  let reachedEnd = false;
  try {
    const events = train({
      ...options,
      backend,
      threads: flags.threads,
      stopAt: flags.stopAt,
      keepLast: flags.keepLast,
      profile: flags.profile,
      memoryCheck: flags.memoryCheck,
      mpi: launchedRank() !== null,
      signal: interrupt.signal,
      onNotice: notice,
    });
    for await (const event of events) {
      if (reporter === undefined) {
        reporter = await chooseReporter(flags, { why }, event.type === "start" ? event.out : null);
        for (const line of early) reporter.notice(line);
      }
      reporter.event(event);
      const warning = event.type === "start" ? memoryWarning(event.memory, event.availableMemory) : undefined;
      if (warning !== undefined) reporter.notice(warning);
      if (event.type === "start") {
        out = event.out;
        savedStep = event.step > 0 ? event.step : undefined;
        if (flags.studio === true && out !== null && !isFollower()) {
          studio = await openTrainStudio(out, event, { backend, threads: flags.threads, stop: interrupt.abort });
          notice(`Studio: ${studio.url}`);
        }
      }
      if (event.type === "checkpoint") savedStep = event.step;
      if (event.type === "eval") complete = event.reason === "end";
      if (event.type === "done") interrupted = event.reason === "interrupted";
      // Saving is enough if nobody reads the rest of the output. Ranks end together.
      const mayLeave = launchedRank() === null;
      if (outputEnded !== undefined && event.type === "checkpoint" && !complete && mayLeave) {
        interrupted = true;
        break;
      }
      await studio?.turn();
    }
    reachedEnd = true;
  } catch (error) {
    throw inFlags(error);
  } finally {
    reporter?.close();
    interrupt.release();
    if (!reachedEnd) await studio?.close();
  }
  const stays = flags.json !== true && host.stdout.isTTY && outputEnded === undefined;
  await studio?.end(stays && interrupt.status() === undefined);
  if (!interrupted) return;
  const toGoOn = out === null ? undefined : commandLine(["train", "--resume", out]);
  if (outputEnded === "failed" && toGoOn !== undefined)
    suggestAfterFailure(`${toGoOn}, where there is room for its output`);
  // A script must not take an interrupted run for a finished one.
  const status = interrupt.status() ?? (outputEnded === "gone" ? exitStatus.readerGone : undefined);
  if (status === undefined) return;
  if ((flags.json === true || outputEnded === "gone") && toGoOn !== undefined)
    reporter?.notice(`saved; to go on: ${toGoOn}`);
  host.exitCode = status;
};

/** `foretoken train`. */
export const declareTrain = (command: Command): void => {
  command
    .usage("[flags]")
    .optionsGroup("Text: what the model learns from, and what it is measured on")
    .option(
      "--data <text>",
      "a corpus by name, a UTF-8 file, or a folder of them, without hidden files and node_modules; or documents, such as conversations: a .jsonl file or a folder of such (default: tiny-shakespeare)",
      parsePath("--data", corpusNames),
    )
    .option(
      "--val-data <text>",
      "a text, or documents, to validate on (default: the last part of --data, or drawn documents)",
      parsePath("--val-data", corpusNames),
    )
    .option(
      "--val-fraction <x>",
      "without --val-data: the share of the text, or of the documents, to validate on (default: 0.1)",
      parseFraction("--val-fraction"),
    )
    .option(
      "--chat-template <file>",
      "a template in Jinja that writes conversations out (default: the model's own)",
      parsePath("--chat-template"),
    )
    .optionsGroup("Run: the plan, its folder, and a run to go on with")
    .addOption(
      new Option(
        "--preset <name>",
        `start from ${alternatives(presetNames)} (default: with --data or --init-from sizes that follow from the text, else ${defaultPreset})`,
      ).argParser(parseChoice("--preset", presetNames)),
    )
    .option(
      "--config <file>",
      'JSON with changes to it: { "preset", "tokenizer", "model", "lora", "train" } (default: none)',
      parsePath("--config"),
    )
    .option(
      "--out <folder>",
      "the run's folder, new or empty (default: runs/<time>-<preset or text>)",
      parsePath("--out"),
    )
    .option(
      "--init-from <dir>",
      "begin with the weights of a run (its best), a checkpoint or a model from elsewhere: a new run with their model and tokenizer (default: fresh weights)",
      parsePath("--init-from"),
    )
    .option(
      "--resume <folder>",
      "go on with the run in this folder, in place; with --steps to a new number of all steps (default: begin a new run)",
      parsePath("--resume"),
    )
    .addOption(
      new Option(
        "--extend <how>",
        `the learning rate of the added steps: ${extendKinds.join(", ")} (default: stretch)`,
      ).argParser(parseChoice("--extend", extendKinds)),
    )
    .option(
      "--stop-at <n>",
      "end at this step as Ctrl-C would (default: at the last step)",
      parseInteger("--stop-at", 1),
    )
    .option(
      "--keep-last <n>",
      "checkpoints to keep: the last one and those before it (default: 1, or as the run began)",
      parseInteger("--keep-last", 1),
    )
    .option("--profile", "time the kernels, and show at the end where the time went")
    .option(
      "--studio",
      "open the studio on this run: a page with its curves; in a terminal it stays after the run, until Ctrl-C",
    )
    .option("--no-memory-check", "run also where more memory is needed than is free");
  const configFlags = addConfigFlags(command);
  addRunningFlags(command)
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (flags: TrainFlags) => {
      checkArguments(command);
      const options =
        flags.resume === undefined
          ? await newRunOptions(command, flags, configFlags)
          : resumedRunOptions(command, flags, flags.resume, configFlags);
      await runTrain(options, flags);
    });
};
