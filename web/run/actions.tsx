/** Actions for a run: stop, resume, extend, use its model. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { BegunRun, RunSummary } from "../../src/serve/studio/protocol.ts";
import { Dialog } from "../parts/dialog.tsx";
import { count } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { isLive } from "../parts/state-words.ts";
import { begun } from "../server/begun.ts";
import { isLost } from "../server/event-stream.ts";
import { postJson, runPath } from "../server/request.ts";
import { type Extend, ExtendForm } from "./extend-form.tsx";

interface Asked {
  readonly path: "stop" | "resume";
  /** Summary of the run when the request was sent. */
  readonly run: RunSummary;
  /**
   * Whether the server has responded. Before the response, Stop is disabled: a run that is stopped before its start
   * would never end.
   */
  readonly answered: boolean;
}

/** Whether the summary shows the effect of the request. The response to the request arrives before such a summary. */
const isShown = ({ path, run: before }: Asked, run: RunSummary): boolean => {
  if (path === "stop") return !isLive(run);
  if (isLive(run)) return true;
  // The run may have ended already.
  const isOther = run.step !== before.step || run.state !== before.state || run.updatedAt !== before.updatedAt;
  return run.owner === null && isOther;
};

interface WithModelProps {
  readonly run: RunSummary;
  readonly place: string;
  readonly label: string;
}

const WithModel = ({ run: { name, hasCheckpoint }, place, label }: WithModelProps) =>
  hasCheckpoint ? (
    <a class="button" href={`${place}?${new URLSearchParams({ run: name })}`}>
      {label}
    </a>
  ) : (
    <span class="button disabled" aria-disabled="true" title="Available after the first checkpoint">
      {label}
    </span>
  );

/** @param chats whether the run learns conversations. */
export const Actions = ({ run, chats }: { readonly run: RunSummary; readonly chats: boolean }) => {
  const failure = useSignal<string | undefined>(undefined);
  const asked = useSignal<Asked | undefined>(undefined);
  const asks = useSignal(false);
  const isExtending = useSignal(false);
  const { name, owner, step, steps } = run;
  const live = isLive(run);
  useEffect(() => {
    if (asked.value?.answered === true && isShown(asked.value, run)) asked.value = undefined;
    if (isLive(run)) isExtending.value = false;
  }, [run, asked.value]);

  const post = async (path: Asked["path"], body: object) => {
    const question = { path, run, answered: false };
    asked.value = question;
    failure.value = undefined;
    const answer = await postJson<unknown>(`${runPath(name)}/${path}`, body);
    if (answer.kind === "failed") {
      failure.value = answer.failure.error;
      asked.value = undefined;
      return;
    }
    asked.value = { ...question, answered: true };
    if (path === "resume") begun.value = answer.value as BegunRun;
  };
  const stop = () => void post("stop", owner === "elsewhere" ? { elsewhere: true } : {});
  const resume = (body: { readonly steps?: number; readonly extend?: Extend }) => void post("resume", body);
  const disabled = asked.value !== undefined || isLost.value;
  const stopping = asked.value?.path === "stop" ? "Stopping…" : undefined;
  const resuming = asked.value?.path === "resume" ? "Resuming…" : undefined;
  const canExtend = !live && run.hasCheckpoint;
  // A run that was stopped after its last step lacks its last evaluation or its last sample.
  const canGoOn = canExtend && (step < steps || run.state === "interrupted");

  return (
    <>
      <div class="actions">
        {/* Buttons that depend on the state come first, so that the other buttons do not move. */}
        <div class="row">
          {canExtend && (
            <button
              type="button"
              class="extend"
              aria-expanded={isExtending.value}
              aria-controls="extend"
              onClick={() => {
                isExtending.value = !isExtending.value;
              }}
            >
              Extend
            </button>
          )}
          {live && (
            <button
              type="button"
              disabled={disabled}
              onClick={() => {
                if (owner === "elsewhere") asks.value = true;
                else stop();
              }}
            >
              {stopping ?? "Stop"}
            </button>
          )}
          {canGoOn && run.state !== "patience" && (
            <button type="button" class="primary" disabled={disabled} onClick={() => resume({})}>
              {resuming ?? "Resume"}
            </button>
          )}
          {canGoOn && run.state === "patience" && (
            <button
              type="button"
              disabled={disabled}
              title="Evaluations without improvement are counted from 0 again."
              onClick={() => resume({ steps })}
            >
              {resuming ?? `Continue to step ${count(steps)}`}
            </button>
          )}
          {chats ? (
            <WithModel run={run} place="/chat" label="Chat with it" />
          ) : (
            <WithModel run={run} place="/playground" label="Write with it" />
          )}
          <WithModel run={run} place="/inside" label="Look inside" />
        </div>
        {failure.value !== undefined && <Notice tone="bad">{failure.value}</Notice>}
        {begun.value?.name === name &&
          begun.value.notices.map((notice) => (
            <Notice key={notice} tone="plain">
              {notice}
            </Notice>
          ))}
        {asks.value && (
          <Dialog
            title="Stop a run of another process?"
            confirm="Stop the run"
            onConfirm={stop}
            onClose={() => {
              asks.value = false;
            }}
          >
            <p>
              <b>{name}</b> is trained by a process that this studio did not start. If the process is{" "}
              <code>foretoken train</code> in a terminal, it gets a signal, saves a checkpoint and ends. You can then
              resume the run here. Other programs are not stopped.
            </p>
          </Dialog>
        )}
      </div>
      {canExtend && isExtending.value && (
        <ExtendForm
          run={run}
          disabled={disabled}
          busy={resuming}
          onClose={() => {
            isExtending.value = false;
          }}
          onExtend={resume}
        />
      )}
    </>
  );
};
