import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { isDouble, modelOf, sidesShown, takeRun } from "../models/columns.ts";
import { ModelChoice } from "../models/model-choice.tsx";
import { isGone, modelName } from "../models/model-names.ts";
import { mainActionKeys, mainActionTitle, onMainAction } from "../parts/main-action.ts";
import { Notice } from "../parts/notice.tsx";
import { Segmented } from "../parts/segmented.tsx";
import { models } from "../server/facts.ts";
import { followRuns, runs } from "../server/run-list.ts";
import { address, setQuery } from "../shell/address.ts";
import { Legend } from "../tokens/legend.tsx";
import { Column } from "./column.tsx";
import { beginDouble, endDouble } from "./double.ts";
import { FormField, GuessChoice } from "./form-field.tsx";
import { SamplingControls } from "./sampling.tsx";
import { Score } from "./score.tsx";
import { change, chooseModel, followAddress, isFormReady, lastModels, settings, type Tab, tabOf } from "./settings.ts";
import { forgetAll, needsPrompt, underWay, write, writings } from "./writing.ts";

/** Removes models from the address that are no longer in the list. @returns their keys. */
const leaveGone = (): readonly string[] => {
  const all = models.value.value?.models;
  if (all === undefined || all.length === 0 || underWay.value !== undefined) return [];
  const gone = (["left", "right"] as const).filter((side) => isGone(modelOf(side), all));
  const keys = gone.map(modelOf);
  for (const side of gone) chooseModel(side, all[0]?.key ?? null);
  return keys;
};

/**
 * Chooses models when the list has arrived: the run that the address names. If the address names no models, the models
 * that were chosen last are chosen.
 */
const takeModels = (): void => {
  const all = models.value.value?.models;
  if (all === undefined) return;
  takeRun(chooseModel);
  if (modelOf("left") !== "") return;
  const last = lastModels();
  const isThere = (key: string | undefined): key is string => all.some((model) => model.key === key);
  const left = isThere(last.left) ? last.left : all[0]?.key;
  if (left !== undefined) chooseModel("left", left);
  if (left === last.left && !isDouble() && isThere(last.right)) chooseModel("right", last.right);
};

/** Whether the prompt is empty, but a chosen model needs one. */
const lacksPrompt = (): boolean => settings.value.prompt === "" && sidesShown().some(needsPrompt);

const isReady = (): boolean => isFormReady() && !lacksPrompt() && sidesShown().every((side) => modelOf(side) !== "");
const start = (): void => {
  if (isReady()) void write(sidesShown());
};

const Prompt = () => {
  const writing = underWay.value !== undefined;
  return (
    <div class="prompt-side">
      {!isDouble() && (
        <ModelChoice label="Model" value={modelOf("left")} onChoose={(key) => chooseModel("left", key)} />
      )}
      <label class="field">
        Prompt
        <textarea
          rows={3}
          spellcheck={false}
          placeholder="The beginning of a text"
          value={settings.value.prompt}
          onInput={({ currentTarget }) => change({ prompt: currentTarget.value })}
        />
      </label>
      {lacksPrompt() && <p class="soft about">This model needs a prompt: it continues a text.</p>}
      <div class="row">
        {writing ? (
          <button type="button" class="write" onClick={() => underWay.value?.abort()}>
            Stop
          </button>
        ) : (
          <button
            type="submit"
            class="primary write"
            disabled={!isReady()}
            title={mainActionTitle}
            aria-keyshortcuts={mainActionKeys}
          >
            Write
          </button>
        )}
        {writings.value.length > 0 && !writing && (
          <button type="button" class="quiet" onClick={forgetAll}>
            Clear texts
          </button>
        )}
      </div>
    </div>
  );
};

/** Settings of all columns. With one column, also the settings of this column. */
const WritingSettings = () => {
  const { seed, maxNewTokens } = settings.value;
  return (
    <div class="writing-settings">
      <div class="row">
        <label class="field inline">
          Tokens
          <input
            type="number"
            class="num"
            min={1}
            max={10_000}
            step={1}
            value={maxNewTokens}
            onInput={({ currentTarget }) =>
              change({ maxNewTokens: Math.max(1, Math.floor(Number(currentTarget.value)) || 1) })
            }
          />
        </label>
        <label class="field inline">
          Seed
          <input
            type="number"
            class="num"
            min={0}
            step={1}
            value={seed}
            onInput={({ currentTarget }) => change({ seed: Math.max(0, Math.floor(Number(currentTarget.value)) || 0) })}
          />
        </label>
      </div>
      {!isDouble() && <SamplingControls side="left" />}
      <FormField />
      <div class="writing-choices">
        <GuessChoice />
        <label class="check">
          <input
            type="checkbox"
            checked={isDouble()}
            // The second column begins with another model than the first, so it needs the list and the first choice.
            disabled={!isDouble() && (models.value.value === undefined || modelOf("left") === "")}
            onChange={({ currentTarget }) => (currentTarget.checked ? beginDouble : endDouble)()}
          />
          Side by side
        </label>
      </div>
    </div>
  );
};

const tabs = [
  { value: "write", label: "Write" },
  { value: "score", label: "Measure a text" },
] as const;

const Writing = () => (
  // biome-ignore lint/a11y/noStaticElementInteractions: keys of its fields
  <div class="writing" onKeyDown={onMainAction(start)}>
    <form
      class="prompt-form"
      onSubmit={(event) => {
        event.preventDefault();
        start();
      }}
    >
      <Prompt />
      <WritingSettings />
    </form>
    {isDouble() && <Legend />}
    <div class={isDouble() ? "columns double" : "columns"}>
      <Column side="left" label={isDouble() ? "First model" : "Text"} />
      {isDouble() && <Column side="right" label="Second model" />}
    </div>
  </div>
);

export const PlaygroundView = () => {
  useEffect(() => {
    const unfollow = [followAddress(), followRuns()];
    return () => {
      for (const end of unfollow) end();
      underWay.value?.abort();
    };
  }, []);
  // Value that changes when a run gets a better loss or its first checkpoint. The weights of the run then change too.
  const weights = (runs.value ?? []).map(({ name, best, hasCheckpoint, owner }) =>
    [name, best?.step, hasCheckpoint, owner].join(" "),
  );
  useEffect(() => void models.load(), [weights.join("\n")]);
  const gone = useSignal<readonly string[]>([]);
  useEffect(() => {
    takeModels();
    const left = leaveGone();
    if (left.length > 0) gone.value = left;
  }, [models.value.value, address.value.query]);
  const known = models.value.value?.models;
  const tab = tabOf();
  return (
    <section class="playground">
      <div class="view-head">
        <h1>Playground</h1>
        <Segmented
          label="What to do"
          showLabel={false}
          value={tab}
          options={tabs}
          onChange={(value: Tab) => setQuery({ tab: value === "write" ? null : value })}
        />
      </div>
      {models.failure.value !== undefined && <Notice tone="bad">{models.failure.value.error}</Notice>}
      {gone.value.length > 0 && (
        <Notice tone="plain">
          There is no model {gone.value.map((key) => `“${modelName(key)}”`).join(" and no ")} any more.
        </Notice>
      )}
      {known?.length === 0 && (
        <Notice tone="plain">
          There is no model yet. A run has a model after its first checkpoint. <a href="/new">Start a run</a>
        </Notice>
      )}
      {tab === "write" ? <Writing /> : <Score />}
    </section>
  );
};
