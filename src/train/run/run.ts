import { countedTokens, documentCount } from "../../data/documents.ts";
import { predictedTokens } from "../../evaluate/evaluate.ts";
import { loraLayout } from "../../models/lora/layout.ts";
import { modelLayout } from "../../models/model.ts";
import { type DoneEvent, type StartEvent, type TrainEvent, eventVersion as v } from "../../runs/events.ts";
import { freshProgress, isEvaluationDue } from "../../runs/progress.ts";
import { measure, tellOverfitting, writeSample } from "./measure.ts";
import type { RunInput } from "./run-input.ts";
import { isAborted, isDrawn, note, type Running, setUp } from "./running.ts";
import { save, savedInNeed, savePlanned } from "./save.ts";
import { takeStep } from "./step.ts";

type Events = AsyncGenerator<TrainEvent, void, undefined>;

/**
 * Trains and yields events, until the plan is done, the run is interrupted, or patience runs out. A run ends with a
 * checkpoint and `done`. An evaluation comes before them, unless the run is interrupted. Aborting `signal` interrupts
 * the run. The run then finishes the current step, stops a current evaluation (a resumed run repeats it), and saves. It
 * does not evaluate then: this would take minutes on a large text, and a user who stops a process waits only seconds.
 *
 * The state at a step depends only on the configuration and the text. So an interrupted run saves the state that an
 * uninterrupted run has at that step.
 *
 * A step whose loss or gradient is not finite, or explodes, changes nothing. The step is recorded. Then the run stops
 * or continues without it, as `train.onNonfinite` says.
 *
 * @throws ConfigError for such a step if the run must stop; also if an update has made a weight or a moment infinite or
 * NaN (then the last checkpoint is older than that update).
 */
export async function* run(input: RunInput): Events {
  // This event is sent before memory is allocated, so that its reader knows how much memory will be used.
  yield await note(input, started(input));
  const run = await setUp(input);
  try {
    yield* makeUp(run);
    while (run.position.progress.step < run.lastStep && !run.position.outOfPatience && !isAborted(input)) {
      run.position.beginStep();
      yield* takeStep(run);
      yield* afterStep(run);
    }
    yield* end(run);
  } catch (error) {
    throw await savedInNeed(run, error);
  } finally {
    run.trainer.close();
  }
}

const started = ({ backend, config, tokenizer, store, resume, ...input }: RunInput): StartEvent => ({
  v,
  type: "start",
  config,
  derived: input.derived,
  parameters: modelLayout(config.model, tokenizer.vocabSize).count,
  ...(config.lora === undefined ? {} : { adapterParameters: loraLayout(config.model, config.lora).count }),
  backend: backend.name,
  instructionSet: backend.capabilities.instructionSet,
  threads: backend.capabilities.threads,
  ...(input.team.size === 1 ? {} : { ranks: input.team.size }),
  dtype: backend.capabilities.dtype,
  corpus: input.corpus,
  trainTokens: input.trainTokens.length,
  valTokens: input.val.ids.length,
  ...startDocuments(input),
  vocabSize: tokenizer.vocabSize,
  out: store?.path ?? null,
  initFrom: input.initFrom,
  ...(input.teachers === undefined || input.teachers.length === 0
    ? {}
    : { teachers: input.teachers.map(({ path }) => path) }),
  step: (resume?.progress ?? freshProgress).step,
  memory: input.memory,
  availableMemory: input.availableMemory,
});

const startDocuments = ({ documents, val }: Pick<RunInput, "documents" | "val">): Pick<StartEvent, "documents"> =>
  documents === undefined
    ? {}
    : {
        documents: {
          train: documentCount(documents.train),
          val: val.documents === undefined ? 0 : documentCount(val.documents),
          trainTargets: countedTokens(documents.train),
          valTargets: predictedTokens(val),
          rowsPerPass: documents.rowsPerPass,
          chat: documents.promptIds !== undefined,
        },
      };

/**
 * Finishes what a resumed run left incomplete when it was stopped; saves initial weights that cannot be drawn again.
 */
async function* makeUp(run: Running): Events {
  const { input, rollback, firstStep, position } = run;
  const { train } = input.config;
  if (firstStep === 0 && input.initFrom !== null) {
    // This evaluation is needed because the initial weights may remain the best weights.
    const before = position.progress.best === null ? await measure(run, "begin") : undefined;
    if (before !== undefined) yield before;
    if (isDrawn(input)) return;
    // Saving here sends no event. If the process is killed after this, the same run can be resumed, as a run with
    // random weights can.
    await input.store?.saveStart?.({ progress: position.progress, ...run.trainer.snapshot() });
    await rollback?.keep(0);
  } else if (isEvaluationDue(position.progress, train)) yield* afterStep(run);
  else if (input.broken?.sample === true && input.broken.lastLoss === undefined) {
    yield* writeSample(run, train.sampleTokens);
    yield* savePlanned(run);
  }
  // The process may have been killed after a planned checkpoint and before its rollback copy.
  else if (firstStep > 0 && firstStep % train.checkpointInterval === 0) await rollback?.keep(firstStep);
}

/** Does what is planned after a step: an evaluation with a sample, a checkpoint. */
async function* afterStep(run: Running): Events {
  const { config } = run.input;
  const { steps, sampleTokens } = config.train;
  const { step } = run.position.progress;
  if (isEvaluationDue(run.position.progress, config.train)) {
    const evaluated = await measure(run, step === steps ? "end" : "interval");
    if (evaluated === undefined) return;
    yield evaluated;
    yield* tellOverfitting(run, evaluated.valLoss);
    if (step < steps && sampleTokens > 0) yield* writeSample(run, sampleTokens);
    if (run.position.outOfPatience) return;
  }
  yield* savePlanned(run);
}

/** Whether the run reached its end without being stopped. Only then is the last sample written. */
const isOver = ({ input, position: { progress, outOfPatience } }: Running): boolean => {
  const { train } = input.config;
  if (outOfPatience || input.broken?.lastLoss !== undefined) return true;
  return progress.step >= train.steps && !isEvaluationDue(progress, train);
};

/** Writes the last sample and the last checkpoint, and sends the last event. */
async function* end(run: Running): Events {
  const { input, profile } = run;
  let interrupted = !isOver(run);
  if (!interrupted && input.finalSampleTokens > 0) {
    const whole = yield* writeSample(run, input.finalSampleTokens);
    // A resumed run also repeats an interrupted sample.
    interrupted = isAborted(input) && !whole;
  }
  yield* save(run);
  const { step } = run.position.progress;
  if (profile !== null) {
    // This event is not stored: it depends on the clock and on this process only.
    const seconds = (performance.now() - run.begun) / 1000;
    yield { v, type: "profile", step, timedSteps: step - run.firstStep, seconds, kernels: profile.profile() };
  }
  yield await note(input, ended(run, interrupted));
}

const ended = ({ input, position: { progress, measured } }: Running, interrupted: boolean): DoneEvent => {
  const { step, best, bestAverage } = progress;
  const valLoss = measured?.step === step ? measured.valLoss : null;
  if (valLoss === null && !interrupted) throw new Error("a run that is not interrupted ends with an evaluation");
  return {
    v,
    type: "done",
    task: "train",
    step,
    reason: interrupted ? "interrupted" : step < input.config.train.steps ? "patience" : "finished",
    valLoss,
    bestValLoss: best?.valLoss ?? valLoss,
    bestStep: best?.step ?? (valLoss === null ? null : step),
    ...(bestAverage === undefined ? {} : { bestAverage }),
    out: input.store?.path ?? null,
  };
};
