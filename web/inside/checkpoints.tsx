/** Choice of a model and of one of its checkpoints. */
import type { ModelListAnswer } from "../../src/serve/studio/protocol.ts";
import { SweepsLast } from "../models/sweeps-last.tsx";
import { count } from "../parts/format.ts";
import { models } from "../server/facts.ts";
import { setQuery } from "../shell/address.ts";
import { modelOf } from "./state.ts";

type Model = ModelListAnswer["models"][number];

interface Checkpoint {
  readonly key: string;
  readonly label: string;
}

/** Checkpoints of one run, by step. The best and the last checkpoint may have the same step. */
export const checkpointsOf = (all: readonly Model[], name: string): readonly Checkpoint[] => {
  const own = all.filter((model) => model.name === name);
  const steps = [...new Set(own.map(({ step }) => step))].sort((a, b) => (a ?? 0) - (b ?? 0));
  return steps.map((step) => {
    const same = own.filter((model) => model.step === step);
    const words = same.flatMap(({ weights }) => (weights === "best" || weights === "last" ? [weights] : []));
    const label = [step === null ? "" : `step ${count(step)}`, ...words].filter(Boolean).join(", ");
    return { key: (same.find(({ weights }) => weights === "best") ?? same[0])?.key ?? "", label };
  });
};

const keyOf = (all: readonly Model[], name: string): string | undefined => {
  const own = all.filter((model) => model.name === name);
  return (own.find(({ weights }) => weights === "best") ?? own[0])?.key;
};

/**
 * Chooses a model if the address names none. The choice is the best checkpoint of `?run=NAME`, or the first model of
 * the list.
 */
export const takeModel = (run: string | null): void => {
  const all = models.value.value?.models;
  if (all === undefined) return;
  const wanted = run === null ? undefined : keyOf(all, run);
  if (run !== null) setQuery({ run: null, ...(wanted === undefined ? {} : { model: wanted }) });
  const first = all[0];
  if (modelOf() === "" && first !== undefined) setQuery({ model: keyOf(all, first.name) ?? first.key });
};

const Scrubber = ({ all, name }: { readonly all: readonly Model[]; readonly name: string }) => {
  const checkpoints = checkpointsOf(all, name);
  const key = modelOf();
  const step = all.find((model) => model.key === key)?.step;
  const found = checkpoints.findIndex(
    (one) => one.key === key || all.some((model) => model.key === one.key && model.step === step),
  );
  const index = Math.max(0, found);
  const show = (to: number) => setQuery({ model: checkpoints[to]?.key ?? key });
  const { label = "" } = checkpoints[index] ?? {};
  return (
    <div class="scrubber">
      <button type="button" aria-label="Earlier checkpoint" disabled={index <= 0} onClick={() => show(index - 1)}>
        ←
      </button>
      <input
        type="range"
        min={0}
        max={checkpoints.length - 1}
        step={1}
        value={index}
        aria-label="Checkpoint"
        aria-valuetext={`${label}, ${index + 1} of ${checkpoints.length}`}
        onInput={({ currentTarget }) => show(Number(currentTarget.value))}
      />
      <button
        type="button"
        aria-label="Later checkpoint"
        disabled={index >= checkpoints.length - 1}
        onClick={() => show(index + 1)}
      >
        →
      </button>
      <output class="num">
        {label} <span class="soft">({`${index + 1} of ${checkpoints.length}`})</span>
      </output>
    </div>
  );
};

export const ModelAndCheckpoint = () => {
  const all = models.value.value?.models ?? [];
  const names = [...new Set(all.map(({ name }) => name))];
  const chosen = all.find(({ key }) => key === modelOf());
  const isRun = chosen !== undefined && chosen.weights !== null;
  const hasKept = isRun && all.some(({ name, weights }) => name === chosen.name && /^\d+$/.test(weights ?? ""));
  return (
    <div class="inside-model">
      <label class="field">
        Model
        <select
          value={chosen?.name ?? ""}
          onFocus={() => void models.load()}
          onChange={({ currentTarget }) => setQuery({ model: keyOf(all, currentTarget.value) ?? null })}
        >
          {chosen === undefined && <option value="">Choose a model…</option>}
          <SweepsLast
            all={names.map((name) => ({ name }))}
            option={({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            )}
          />
        </select>
      </label>
      {isRun && (
        <div class="field">
          <Scrubber all={all} name={chosen.name} />
          {!hasKept && (
            <p class="soft about">
              A run keeps its best and its last checkpoint. To watch a model learn here, keep more checkpoints: set
              “Checkpoints to keep” in <a href="/new">New run</a>, or <code>--keep-last 10</code> in a terminal.
            </p>
          )}
        </div>
      )}
    </div>
  );
};
