import type { Command } from "commander";
import { endsRanksSoon, hasLauncher, launchedRank, separateTasks } from "../../core/system/launched-rank.node.ts";
import { commandLine } from "../../core/text/shell-word.ts";
import { memoryWarning } from "../../train/prepare/preflight.ts";
import { type TrainOptions, train } from "../../worker/train.node.ts";
import { pastLosses } from "../display/drawing/past-losses.ts";
import { liveReporter } from "../display/reporters/live.ts";
import { plainReporter } from "../display/reporters/plain.ts";
import { jsonReporter, silentReporter, type TrainReporter } from "../display/reporters/reporter.ts";
import { formatCount } from "../display/texts/format.ts";
import type { RunContext } from "../display/texts/run-text.ts";
import { chooseBackend } from "../flags/backend-choice.ts";
import { checkArguments } from "../flags/flags.ts";
import { inFlags } from "../flags/option-names.ts";
import { addShortHelp } from "../help.ts";
import { exitStatus } from "../process/exit-status.ts";
import { host } from "../process/host.ts";
import { type EndingSignal, onInterrupt } from "../process/interrupt.ts";
import { type OutputEnd, onOutputEnd, suggestAfterFailure, writeNotice } from "../process/output.ts";
import { isFollower } from "../process/rank.ts";
import { canRedraw } from "../process/terminal.ts";
import { addTrainFlags, type TrainFlags } from "../train/flags.ts";
import { examples, shortHelp } from "../train/help.ts";
import { runOptions } from "../train/options.ts";
import { openTrainStudio, type TrainStudio } from "../train/studio.ts";

/** @param out the run's folder, also if the user named one of its checkpoints. */
const chooseReporter = async (flags: TrainFlags, context: RunContext, out: string | null): Promise<TrainReporter> => {
  if (isFollower()) return silentReporter();
  if (flags.json === true) return jsonReporter();
  const past = flags.resume === undefined || out === null ? undefined : await pastLosses(out);
  // A launcher may give a terminal to each rank, although the output goes to another place.
  if (hasLauncher() || !canRedraw(host.stdout)) return plainReporter(context, past);
  return liveReporter(context, past);
};

const quits = (again: string, savedStep: number | undefined): string => {
  const left =
    savedStep === undefined ? "with nothing saved yet" : `keeping the checkpoint of step ${formatCount(savedStep)}`;
  return ` (${again} quits at once, ${left})`;
};

/** Effect of a second signal. SIGHUP is not in the list, because a closing terminal sends it several times. */
const secondSignal: Readonly<Partial<Record<EndingSignal, (savedStep: number | undefined) => string>>> = {
  SIGINT: (savedStep) => quits("Ctrl-C again", savedStep),
  SIGTERM: (savedStep) => quits("a second SIGTERM", savedStep),
};

/** Advice for a launcher that may kill the ranks before the run is saved. */
const soonEnded =
  "mpirun may kill the ranks after one second, before they have saved; --mca odls_base_sigkill_timeout 15 gives them 15 seconds";

const runTrain = async (options: TrainOptions, flags: TrainFlags): Promise<void> => {
  const tasks = separateTasks();
  if (tasks !== undefined) {
    writeNotice(
      `srun has started ${tasks} tasks without MPI: each trains its own model (to train one model on all tasks: srun --mpi=pmix)`,
    );
  }
  const { backend, why, advice, remark } = await chooseBackend(flags);
  let reporter: TrainReporter | undefined;
  const early: string[] = remark === undefined ? [] : [remark];
  const notice = (line: string): void => {
    if (reporter === undefined) early.push(line);
    else reporter.notice(line);
  };
  /** Step of the last checkpoint; undefined before the first checkpoint. */
  let savedStep: number | undefined;
  const interrupt = onInterrupt((status, signal) => {
    // Before the first event no step has started, so there is nothing to finish and save.
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
          const computing = { backend, advice, threads: flags.threads };
          studio = await openTrainStudio(out, event, { ...computing, stop: interrupt.abort });
          notice(`Studio: ${studio.url}`);
        }
      }
      if (event.type === "checkpoint") savedStep = event.step;
      if (event.type === "eval") complete = event.reason === "end";
      if (event.type === "done") interrupted = event.reason === "interrupted";
      // If the reader of the output has gone away, stop after the run is saved. MPI ranks continue, because they must
      // end together.
      const mayLeave = launchedRank() === null;
      if (outputEnded !== undefined && event.type === "checkpoint" && !complete && mayLeave) {
        interrupted = true;
        break;
      }
      await studio?.turn();
    }
    reachedEnd = true;
  } catch (error) {
    throw inFlags(error, [["the option chatTemplate", "--chat-template FILE"]]);
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
    suggestAfterFailure(`${toGoOn}, with its output on a disk that has free space`);
  // The status tells a script that the run was interrupted.
  const status = interrupt.status() ?? (outputEnded === "gone" ? exitStatus.readerGone : undefined);
  if (status === undefined) return;
  if ((flags.json === true || outputEnded === "gone") && toGoOn !== undefined)
    reporter?.notice(`saved; to resume: ${toGoOn}`);
  host.exitCode = status;
};

/** `foretoken train`. */
export const declareTrain = (command: Command): void => {
  const configFlags = addTrainFlags(command.usage("[flags]"));
  addShortHelp(command, shortHelp, examples);
  command.allowExcessArguments().action(async (flags: TrainFlags) => {
    checkArguments(command);
    await runTrain(await runOptions(command, flags, configFlags), flags);
  });
};
