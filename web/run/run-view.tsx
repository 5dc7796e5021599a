import { useEffect, useMemo } from "preact/hooks";
import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { Command } from "../parts/command.tsx";
import { failureWords } from "../parts/failure-words.ts";
import { count, duration, loss } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { isCutOff, RunState } from "../parts/run-state.tsx";
import { isLive, stateWords } from "../parts/state-words.ts";
import { isRefused } from "../server/event-stream.ts";
import { newRunAddress } from "../shell/address.ts";
import { Actions } from "./actions.tsx";
import { Configuration, Facts, Measurements } from "./facts.tsx";
import { memorisingOf } from "./memorising.ts";
import { notMeasured, untrainedLoss } from "./not-yet.ts";
import { RunCharts } from "./run-charts.tsx";
import type { RunData } from "./run-data.ts";
import { followRun, type RunFeed } from "./run-feed.ts";
import { Samples } from "./samples.tsx";
import { secondsLeft } from "./time-left.ts";

/** Note below the training loss. `untrained`: loss of an untrained model, shown until the first evaluation. */
const trainingNote = (value: number | undefined, untrained: number | undefined, live: boolean): string => {
  if (value === undefined) return live ? "after the first step" : "no step was done";
  return untrained === undefined ? "last step, nats per token" : `untrained model: ${untrained.toFixed(2)}`;
};

const Headline = ({ feed, run }: { readonly feed: RunFeed; readonly run: RunSummary }) => {
  void feed.version.value;
  const data = feed.data.value;
  const lastOf = (
    table: "steps" | "evals",
    column: "step" | "loss" | "valLoss" | "bitsPerByte",
  ): number | undefined => {
    const one = data?.[table] as { length: number; column: (name: string) => Float64Array } | undefined;
    return one === undefined || one.length === 0 ? undefined : one.column(column)[one.length - 1];
  };
  const step = Math.max(run.step, lastOf("steps", "step") ?? 0);
  const isRunning = isLive(run) && !isCutOff(run);
  const left = isRunning && data !== undefined ? secondsLeft(run.config, data, feed.evalSeconds()) : undefined;
  const trainingLoss = lastOf("steps", "loss");
  const untrained = run.best === null ? untrainedLoss(run) : undefined;
  return (
    <div class="headline">
      <div class="figure">
        <span class="figure-label">Step</span>
        <span class="figure-value num">{count(step)}</span>
        <span class="figure-note num">of {count(run.steps)}</span>
      </div>
      <div class="figure">
        <span class="figure-label">Training loss</span>
        <span class="figure-value num">{loss(trainingLoss)}</span>
        <span class="figure-note">{trainingNote(trainingLoss, untrained, isLive(run))}</span>
      </div>
      <div class="figure">
        <span class="figure-label">Best validation loss</span>
        <span class="figure-value num">{loss(run.best?.valLoss)}</span>
        <span class="figure-note num">{run.best === null ? notMeasured(run) : `at step ${count(run.best.step)}`}</span>
      </div>
      <div class="figure">
        <span class="figure-label">Bits per byte</span>
        <span class="figure-value num">{loss(run.best?.bitsPerByte)}</span>
        <span class="figure-note">comparable across tokenizers</span>
      </div>
      {isRunning && (
        <div class="figure">
          <span class="figure-label">Time left</span>
          <span class="figure-value num">{left === undefined ? "–" : duration(left)}</span>
          <span class="figure-note">{left === undefined ? "after the first few steps" : "evaluations included"}</span>
        </div>
      )}
      <progress value={step} max={Math.max(1, run.steps)} aria-label={`${count(step)} of ${count(run.steps)} steps`} />
    </div>
  );
};

/** Explains the error and what to try. The full error and the command that repeats the step are folded. */
const Failed = ({ run: { name, state, failure, hasCheckpoint } }: { readonly run: RunSummary }) => {
  if (state !== "failed") return null;
  const { what, advice, command, details } = failureWords(failure ?? "The run ended with an error.");
  return (
    <Notice tone="bad">
      <p>
        <b>{what}</b> {advice}
      </p>
      <p>
        {hasCheckpoint
          ? "The last checkpoint is intact: “Resume” continues from there."
          : "There is no checkpoint to resume from."}{" "}
        <a href={newRunAddress(name)}>New run with these settings</a>
      </p>
      {details !== undefined && (
        <details class="failure-details">
          <summary>Details</summary>
          <p class="mono">{details}</p>
          {command !== undefined && (
            <>
              <p>This repeats the faulty step in a terminal:</p>
              <Command text={command} />
            </>
          )}
        </details>
      )}
    </Notice>
  );
};

const Restarted = () => (
  <Notice tone="bad">
    <p>
      <b>The studio was restarted and requires its new token.</b> Open the address that the studio printed in its
      terminal. This page cannot see the state of the run.
    </p>
  </Notice>
);

/** What the validation loss does, from the evaluations so far. */
const verdictOf = (data: RunData): string => {
  const over = memorisingOf(data);
  if (over !== undefined) {
    return `Since step ${count(over.bestStep)} the validation loss rises (${loss(over.bestValLoss)} to ${loss(over.valLoss)}): the model learns the text by heart. A smaller model, dropout or fewer steps may help. The best weights are kept.`;
  }
  const { evals } = data;
  if (evals.length < 2) return "";
  const [step, values] = [evals.column("step"), evals.column("valLoss")];
  const last = evals.length - 1;
  let best = 0;
  for (let i = 1; i <= last; i++) if ((values[i] as number) < (values[best] as number)) best = i;
  return best === last
    ? `The validation loss still falls: ${loss(values[last - 1])} to ${loss(values[last])} in the last ${count((step[last] as number) - (step[last - 1] as number))} steps.`
    : `The best validation loss so far is ${loss(values[best])}, at step ${count(step[best] as number)}.`;
};

/**
 * Notes about the curves. While a run trains, one sentence says what the validation loss does, in a box of a
 * fixed height. So nothing moves when the sentence changes.
 */
const Notes = ({ feed, live }: { readonly feed: RunFeed; readonly live: boolean }) => {
  void feed.version.value;
  const data = feed.data.value;
  const isNoted = data !== undefined && (live || memorisingOf(data) !== undefined);
  const leftOut = data?.leftOut ?? [];
  if (!live && !isNoted && leftOut.length === 0) return null;
  return (
    <section class="run-notes" aria-label="Notes">
      {(live || isNoted) && <p class={live ? "run-verdict coming" : "run-verdict"}>{data && verdictOf(data)}</p>}
      {leftOut.length > 0 && (
        <Notice tone="plain">
          {`${count(leftOut.length)} ${leftOut.length === 1 ? "step was" : "steps were"} skipped, because the loss or the gradient was not finite or too large: ${leftOut.slice(0, 12).map(count).join(", ")}`}
          {leftOut.length > 12 && " and others"}.
        </Notice>
      )}
    </section>
  );
};

/** Whether a run has so few values that a chart would show at most one point. */
const hasNoCurves = (data: RunData | undefined): boolean =>
  data !== undefined && data.steps.length < 2 && data.evals.length < 2 && data.samples.length === 0;

/** Words next to the state. A notice says why a run failed, or that the studio was restarted. */
const aboutOf = (run: RunSummary): string => {
  if (run.state === "failed" || (isCutOff(run) && isRefused.value)) return "";
  return isCutOff(run) ? "If you ended the studio with Ctrl-C, it saved the run." : stateWords(run).about;
};

export const RunView = ({ name }: { readonly name: string }) => {
  const feed = useMemo(() => followRun(name), [name]);
  useEffect(() => feed.close, [feed]);
  const run = feed.summary.value;
  const why = feed.failure.value;
  // The view waits for the data, because data that came later would move the view's parts. A run that has just begun has
  // no data yet.
  const hasData = run !== undefined && (!isLive(run) || run.step > 0);
  if (run === undefined || (hasData && feed.data.value === undefined && why === undefined)) {
    return (
      <section>
        <h1 class="run-title">{name}</h1>
        {why === undefined ? <p class="soft waiting">Reading the run…</p> : <Notice tone="bad">{why}</Notice>}
        <p>
          <a href="/runs">All runs</a>
        </p>
      </section>
    );
  }
  const isBare = !isLive(run) && hasNoCurves(feed.data.value);
  return (
    <article class="run">
      <div class="view-head">
        <div>
          <p class="crumb">
            <a href="/runs">Runs</a>
          </p>
          <h1 class="run-title">{name}</h1>
          <p class="run-state" role="status">
            <RunState run={run} />
            <span class="soft"> {aboutOf(run)}</span>
          </p>
        </div>
        <Actions run={run} chats={feed.data.value?.chat === true} />
      </div>
      <Failed run={run} />
      {isCutOff(run) && isRefused.value && <Restarted />}
      {why !== undefined && !(isCutOff(run) && isRefused.value) && <Notice tone="bad">{why}</Notice>}
      <Headline feed={feed} run={run} />
      {isBare ? (
        <p class="soft">
          The run ended before its {run.step === 0 ? "first" : "second"} step. So it has no curves and no samples.
        </p>
      ) : (
        <RunCharts feed={feed} run={run}>
          <Notes feed={feed} live={isLive(run)} />
          <Samples feed={feed} run={run} />
        </RunCharts>
      )}
      <Facts run={run} feed={feed} />
      {!isBare && <Measurements feed={feed} run={run} />}
      <Configuration run={run} />
    </article>
  );
};
