/** Cost of the run before it starts, and the equivalent terminal command. */
import type { NewRunRequest, RunPlan } from "../../src/serve/studio/protocol.ts";
import { CommandText } from "../parts/command.tsx";
import { Copy } from "../parts/copy.tsx";
import { bytes, compact, count, duration, some } from "../parts/format.ts";
import { mainActionKeys, mainActionTitle } from "../parts/main-action.ts";
import { Notice } from "../parts/notice.tsx";
import { runs } from "../server/run-list.ts";
import { request } from "./draft.ts";
import { bestBefore, expectedLoss, fewestTokens } from "./expected-loss.ts";
import { failureText } from "./failures.ts";
import { plan, planFailure, planning, timing, wrongField } from "./planned.ts";
import { canStart, start, startFailure, starting } from "./start.ts";
import { WrongPlace } from "./wrong.tsx";

/** A number of times with two digits. */
const times = (exact: number): string => {
  const rounded = Number(exact.toPrecision(2));
  return rounded < 10 ? String(rounded) : count(rounded);
};

const Loss = ({ asked, of }: { readonly asked: NewRunRequest; readonly of: RunPlan }) => {
  const { config, vocabSize } = of;
  if (asked.initFrom !== undefined) return <>The loss before the first step is measured at the start.</>;
  const unit = config.tokenizer.kind === "char" ? "character" : "token";
  const expected = expectedLoss(asked, of);
  const before = bestBefore(asked, of, runs.value ?? []);
  return (
    <>
      begins near <b>{Math.log(vocabSize).toFixed(2)}</b> nats per {unit}: a guess among {count(vocabSize)} {unit}s.
      {before !== undefined && (
        <>
          {" "}
          The best run on this text reached <b>{before.toFixed(2)}</b>.
        </>
      )}
      {before === undefined && expected !== undefined && (
        <>
          {" "}
          {expected.of} ended near <b>{expected.loss.toFixed(1)}</b>.
        </>
      )}
    </>
  );
};

const Figures = ({ asked, of }: { readonly asked: NewRunRequest; readonly of: RunPlan }) => {
  const { parameters, trainTokens, valTokens, memory, availableMemory, seconds, config } = of;
  const { model, train } = config;
  const tokens = train.steps * train.batchSize * train.gradAccumSteps * model.contextLength;
  const tooMuch = availableMemory !== null && memory.total > availableMemory;
  const unit = config.tokenizer.kind === "char" ? "character" : "token";
  // A model that already knows a language can learn from a short text.
  const isTooLittle = asked.initFrom === undefined && trainTokens < fewestTokens;
  return (
    <dl class="facts">
      <div>
        <dt>Time</dt>
        <dd class="num">
          {timing.value ? (
            "measured now: a few steps of this model are timed"
          ) : seconds === null ? (
            "shown after the first steps, because no model of this size was trained here before"
          ) : (
            <>
              <b>about {duration(seconds)}</b>
              {train.patience > 0 && ", or less if the loss stops falling"}
            </>
          )}
        </dd>
      </div>
      <div>
        <dt>Model</dt>
        <dd class="num">
          <b>{compact(parameters)} parameters</b> in {some(model.nLayer, "layer")} of width {count(model.nEmbd)}
        </dd>
      </div>
      <div>
        <dt>Training</dt>
        <dd class="num">
          {count(train.steps)} steps read the text <b>about {times(tokens / Math.max(1, trainTokens))} times</b>
        </dd>
      </div>
      <div>
        <dt>Text</dt>
        <dd class="num">
          {some(trainTokens, unit)} to learn from; {count(valTokens)} are held out, to measure the model
          {isTooLittle && (
            <b class="bad"> Too little to learn a language from: the model will only repeat parts of this text.</b>
          )}
        </dd>
      </div>
      <div>
        <dt>Loss</dt>
        <dd class="num">
          <Loss asked={asked} of={of} />
        </dd>
      </div>
      <div>
        <dt>Memory</dt>
        <dd class={tooMuch ? "num bad" : "num"}>
          {bytes(memory.total)}
          {availableMemory !== null && <span class="soft"> of {bytes(availableMemory)} available</span>}
          {tooMuch && <b> Too much for this machine.</b>}
        </dd>
      </div>
    </dl>
  );
};

/** Shown while there is no text. */
const Ahead = () => (
  <ol class="ahead">
    <li>
      <b>Choose a text.</b> All settings follow from it.
    </li>
    <li>
      <b>Read the plan.</b> It appears here: the time, the size of the model, the loss to expect and the memory.
    </li>
    <li>
      <b>Start the run.</b> The model learns to continue the text. You see curves, and texts that it writes.
    </li>
  </ol>
);

export const PlanPanel = () => {
  const known = plan.value;
  const asked = request.value;
  const isReady = asked !== undefined;
  const given = asked?.text;
  const failed = planFailure.value;
  const isOld = failed !== undefined || planning.value;
  return (
    <aside class="plan" aria-label="Plan">
      <h2>{isReady ? "What will happen" : "How it works"}</h2>
      <div class={isOld ? "plan-body asking" : "plan-body"} aria-busy={planning.value}>
        {!isReady && <Ahead />}
        {isReady && known === undefined && failed === undefined && <p class="soft">Reading the text…</p>}
        {failed !== undefined && wrongField.value === undefined && <Notice tone="bad">{failureText(failed)}</Notice>}
        <WrongPlace />
        {isReady && known !== undefined && failed !== undefined && (
          <p class="soft old-plan">For the last valid settings:</p>
        )}
        {isReady && known !== undefined && <Figures asked={asked} of={known} />}
      </div>
      <button
        type="button"
        class="primary wide"
        disabled={!canStart()}
        title={mainActionTitle}
        aria-keyshortcuts={mainActionKeys}
        onClick={() => void start()}
      >
        {starting.value ? "Starting…" : "Start the run"}
      </button>
      {startFailure.value !== undefined && <Notice tone="bad">{startFailure.value}</Notice>}
      {isReady && known !== undefined && (
        <div class={isOld ? "command-box asking" : "command-box"}>
          <div class="section-head">
            <h3>The same in a terminal</h3>
            <Copy quiet label="Copy" disabled={isOld} text={() => known.command} />
          </div>
          {failed !== undefined && <p class="soft">For the last valid settings:</p>}
          <pre class="command-text">
            <CommandText text={known.command} />
          </pre>
          {given?.kind === "given" && (
            <p class="soft">
              The command reads a file <code>{given.name}</code>. Save the text there first, or write the path of your
              own file.
            </p>
          )}
        </div>
      )}
    </aside>
  );
};
