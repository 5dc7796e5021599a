/** What can be done with a run: stop, resume, extend, write with it. */
import { useSignal } from "@preact/signals";
import type { BegunRun, RunSummary } from "../../src/serve/studio/protocol.ts";
import { Dialog } from "../parts/dialog.tsx";
import { count } from "../parts/format.ts";
import { Notice } from "../parts/notice.tsx";
import { isLive } from "../parts/run-state.tsx";
import { Segmented } from "../parts/segmented.tsx";
import { begun } from "../server/begun.ts";
import { postJson, runPath } from "../server/request.ts";

type Extend = "stretch" | "restart" | "constant";
const schedules: readonly { readonly value: Extend; readonly label: string }[] = [
  { value: "stretch", label: "Stretch" },
  { value: "restart", label: "Restart" },
  { value: "constant", label: "Constant" },
];
const scheduleHelp: Readonly<Record<Extend, string>> = {
  stretch: "The learning rate follows the schedule of the longer run from here on.",
  restart: "The learning rate warms up again and follows its schedule over the new steps.",
  constant: "The learning rate stays where it was.",
};

export const Actions = ({ run }: { readonly run: RunSummary }) => {
  const failure = useSignal<string | undefined>(undefined);
  const busy = useSignal("");
  const asks = useSignal(false);
  const steps = useSignal("");
  const extend = useSignal<Extend>("stretch");
  const { name, owner, step } = run;
  const live = isLive(run);

  const post = async (word: string, path: string, body: object) => {
    busy.value = word;
    failure.value = undefined;
    const answer = await postJson<unknown>(`${runPath(name)}/${path}`, body);
    busy.value = "";
    if (answer.kind === "failed") failure.value = answer.failure.error;
    else if (path === "resume") begun.value = answer.value as BegunRun;
  };
  const stop = () => void post("Stopping…", "stop", owner === "elsewhere" ? { elsewhere: true } : {});
  const wanted = Number(steps.value);
  const isLonger = Number.isInteger(wanted) && wanted > step;
  const canResume = !live && run.hasCheckpoint && run.step < run.steps && run.state !== "patience";

  return (
    <div class="actions">
      <div class="row">
        {live && (
          <button
            type="button"
            disabled={busy.value !== ""}
            onClick={() => {
              if (owner === "elsewhere") asks.value = true;
              else stop();
            }}
          >
            {busy.value || "Stop"}
          </button>
        )}
        {canResume && (
          <button
            type="button"
            class="primary"
            disabled={busy.value !== ""}
            onClick={() => void post("Resuming…", "resume", {})}
          >
            {busy.value || "Resume"}
          </button>
        )}
        {run.hasCheckpoint ? (
          <a class="button" href={`/playground?${new URLSearchParams({ run: name })}`}>
            Write with it
          </a>
        ) : (
          <span class="button disabled" aria-disabled="true" title="From the first checkpoint on">
            Write with it
          </span>
        )}
      </div>
      {!live && run.hasCheckpoint && (
        <details class="extend">
          <summary>Extend</summary>
          <form
            class="extend-form"
            onSubmit={(event) => {
              event.preventDefault();
              if (isLonger) void post("Resuming…", "resume", { steps: wanted, extend: extend.value });
            }}
          >
            <label class="field">
              Steps in all
              <input
                type="number"
                min={step + 1}
                step={1}
                required
                placeholder={String(run.steps * 2)}
                value={steps.value}
                onInput={({ currentTarget: { value } }) => {
                  steps.value = value;
                }}
              />
            </label>
            <Segmented
              label="Learning rate"
              options={schedules}
              value={extend.value}
              onChange={(value) => {
                extend.value = value;
              }}
            />
            <p class="soft">{scheduleHelp[extend.value]}</p>
            <button type="submit" class="primary" disabled={busy.value !== "" || !isLonger}>
              {isLonger ? `Train ${count(wanted - step)} more steps` : "Train more steps"}
            </button>
          </form>
        </details>
      )}
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
            <b>{name}</b> is trained by a process that this studio did not start. If that is{" "}
            <code>foretoken train</code> in a terminal, it gets a signal, saves a checkpoint and ends, and can be
            resumed here. Other programs are left alone.
          </p>
        </Dialog>
      )}
    </div>
  );
};
