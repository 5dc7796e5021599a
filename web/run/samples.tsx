/** Samples that the model wrote during the run, with a slider from first to last. */

import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { writtenClass } from "../parts/code.ts";
import { Copy } from "../parts/copy.tsx";
import { count } from "../parts/format.ts";
import { isLive } from "../parts/state-words.ts";
import { address, setQuery } from "../shell/address.ts";
import { firstEvaluation } from "./not-yet.ts";
import type { Sample } from "./run-data.ts";
import type { RunFeed } from "./run-feed.ts";

const none = (run: RunSummary): string => {
  if (run.config.train.sampleTokens === 0) return "This run writes no samples, because “Tokens per sample” is 0.";
  if (!isLive(run)) return "The run ended before its first sample.";
  return `The model writes a text at each evaluation. The first text comes at step ${count(firstEvaluation(run))}.`;
};

/** A sample. If the run learns conversations, labels show who speaks. */
const Written = ({ sample: { prompt, text }, chat }: { readonly sample: Sample; readonly chat: boolean }) =>
  chat ? (
    <dl class="dialogue">
      <dt>User</dt>
      <dd class="prompt">{prompt}</dd>
      <dt>Model</dt>
      <dd>{text.trimStart()}</dd>
    </dl>
  ) : (
    <>
      <span class="prompt">{prompt}</span>
      {text}
    </>
  );

const copied = ({ prompt, text }: Sample, chat: boolean): string =>
  chat ? `User: ${prompt}\nModel: ${text.trimStart()}` : prompt + text;

export const Samples = ({ feed, run }: { readonly feed: RunFeed; readonly run: RunSummary }) => {
  void feed.version.value;
  const { samples = [], chat = false } = feed.data.value ?? {};
  const chosen = address.value.query.get("sample");
  // By default, the view shows the last sample, so that the view follows the run.
  const found = chosen === null ? -1 : samples.findIndex(({ step }) => String(step) === chosen);
  const index = found === -1 ? samples.length - 1 : found;
  const sample = samples[index];
  const live = isLive(run);
  const show = (to: number) => {
    const step = samples[to]?.step;
    setQuery({ sample: step === undefined || to >= samples.length - 1 ? null : String(step) });
  };
  return (
    <section class="samples" aria-label="Samples">
      <div class="section-head">
        <h2>Samples</h2>
        {sample !== undefined && <Copy quiet label="Copy text" text={() => copied(sample, chat)} />}
      </div>
      {sample === undefined ? (
        <p class={live && run.config.train.sampleTokens > 0 ? "soft to-come" : "soft"}>{none(run)}</p>
      ) : (
        <>
          <div class="scrubber">
            <button type="button" aria-label="Earlier sample" disabled={index <= 0} onClick={() => show(index - 1)}>
              ←
            </button>
            <input
              type="range"
              min={0}
              max={Math.max(0, samples.length - 1)}
              step={1}
              value={index}
              aria-label="Sample"
              aria-valuetext={`step ${sample.step}, ${index + 1} of ${samples.length}`}
              onInput={({ currentTarget }) => show(Number(currentTarget.value))}
            />
            <button
              type="button"
              aria-label="Later sample"
              disabled={index >= samples.length - 1}
              onClick={() => show(index + 1)}
            >
              →
            </button>
            <output class="num">{`step ${count(sample.step)} (${index + 1} of ${samples.length})`}</output>
          </div>
          <section
            class={`${writtenClass(sample.prompt + sample.text)}${live ? " coming" : ""}`}
            dir="auto"
            // The user must be able to scroll the box with keys while the run trains.
            tabIndex={live ? 0 : undefined}
            aria-label="Text of the sample"
          >
            <Written sample={sample} chat={chat} />
          </section>
        </>
      )}
    </section>
  );
};
