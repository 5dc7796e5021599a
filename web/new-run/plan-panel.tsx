/** Cost of the run before it starts, and the equivalent terminal command. */
import type { RunPlan } from "../../src/serve/studio/protocol.ts";
import { Copy } from "../parts/copy.tsx";
import { bytes, compact, count, duration } from "../parts/format.ts";
import { mainActionKeys, mainActionTitle } from "../parts/main-action.ts";
import { Notice } from "../parts/notice.tsx";
import { request } from "./draft.ts";
import { failureText } from "./failures.ts";
import { plan, planFailure, planning, wrongField } from "./planned.ts";
import { canStart, start, startFailure, starting } from "./start.ts";
import { WrongPlace } from "./wrong.tsx";

const Figures = ({
  of: { parameters, trainTokens, valTokens, vocabSize, memory, availableMemory, seconds, config },
}: {
  readonly of: RunPlan;
}) => {
  const tokens = config.train.steps * config.train.batchSize * config.train.gradAccumSteps * config.model.contextLength;
  const tooMuch = availableMemory !== null && memory.total > availableMemory;
  return (
    <dl class="facts">
      <div>
        <dt>Time</dt>
        <dd class="num">
          {seconds === null ? "known after the first run of this size" : `about ${duration(seconds)}`}
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
      <div>
        <dt>Parameters</dt>
        <dd class="num">{compact(parameters)}</dd>
      </div>
      <div>
        <dt>Text</dt>
        <dd class="num">
          {count(trainTokens)} training tokens, {count(valTokens)} held out, {count(vocabSize)} different{" "}
          {config.tokenizer.kind === "char" ? "characters" : "tokens"}
        </dd>
      </div>
      <div>
        <dt>Passes</dt>
        <dd class="num">{`the text is read about ${Number((tokens / Math.max(1, trainTokens)).toPrecision(2))} times`}</dd>
      </div>
    </dl>
  );
};

export const PlanPanel = () => {
  const known = plan.value;
  const isReady = request.value !== undefined;
  const given = request.value?.text;
  const failed = planFailure.value;
  const isOld = failed !== undefined || planning.value;
  return (
    <aside class="plan" aria-label="Plan">
      <h2>Plan</h2>
      <div class={isOld ? "plan-body asking" : "plan-body"} aria-busy={planning.value}>
        {!isReady && (
          <p class="soft">
            Choose a text. The size of the text, a suitable model, the memory and the time then appear here.
          </p>
        )}
        {isReady && known === undefined && failed === undefined && <p class="soft">Reading the text…</p>}
        {failed !== undefined && wrongField.value === undefined && <Notice tone="bad">{failureText(failed)}</Notice>}
        <WrongPlace />
        {isReady && known !== undefined && failed !== undefined && (
          <p class="soft old-plan">For the last valid settings:</p>
        )}
        {isReady && known !== undefined && <Figures of={known} />}
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
            <h3>Terminal command</h3>
            <Copy quiet label="Copy" disabled={isOld} text={() => known.command} />
          </div>
          {failed !== undefined && <p class="soft">For the last valid settings:</p>}
          <pre class="command-text">{known.command}</pre>
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
