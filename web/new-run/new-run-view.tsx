import { useEffect } from "preact/hooks";
import { asSentence } from "../parts/format.ts";
import { onMainAction } from "../parts/main-action.ts";
import { fields, info, models } from "../server/facts.ts";
import { address, setQuery } from "../shell/address.ts";
import { change, draft } from "./draft.ts";
import { Fields } from "./fields.tsx";
import { takeLike } from "./like-run.ts";
import { PlanPanel } from "./plan-panel.tsx";
import { keepPlanning, planFailure } from "./planned.ts";
import { start } from "./start.ts";
import { TextChoice } from "./text-choice.tsx";
import { goToWrong, Wrong, wrongAttributes } from "./wrong.tsx";

const Beginning = () => {
  const { preset, name, initFrom, keepLast } = draft.value;
  const presets = info.value.value?.presets ?? [];
  // A run starts from a whole model, not from an adapter. An adapter that the user has already chosen stays in the
  // list, with an error.
  const known = (models.value.value?.models ?? []).filter(({ key, isAdapter }) => !isAdapter || key === initFrom);
  return (
    <section class="form-part" aria-labelledby="begin-head">
      <h2 id="begin-head">Model</h2>
      <div class="fields">
        <div class="field">
          <label for="preset">Recipe</label>
          <select
            id="preset"
            {...wrongAttributes("preset")}
            value={preset}
            onChange={({ currentTarget }) => change({ preset: currentTarget.value })}
          >
            <option value="">Fits the text</option>
            {presets.map((one) => (
              <option key={one.name} value={one.name}>
                {one.name}
              </option>
            ))}
          </select>
          <div class="below">
            <div class="about soft">
              {asSentence(
                presets.find((one) => one.name === preset)?.about ??
                  "Sizes and steps are chosen from the length of the text",
              )}
              {preset === "" && presets.length > 0 && (
                <details>
                  <summary>What each recipe is for</summary>
                  <ul class="recipes">
                    {presets.map((one) => (
                      <li key={one.name}>
                        <b>{one.name}</b>: {one.about}.
                      </li>
                    ))}
                  </ul>
                </details>
              )}
            </div>
            <Wrong field="preset" />
          </div>
        </div>
        <div class="field">
          <label for="run-name">Name</label>
          <input
            id="run-name"
            type="text"
            autocomplete="off"
            spellcheck={false}
            placeholder="automatic"
            {...wrongAttributes("name")}
            value={name}
            onInput={({ currentTarget }) => change({ name: currentTarget.value })}
          />
          <div class="below">
            <span class="about soft">
              Name of the run’s folder: letters, digits, “-”, “_” and “.”. Default: a name from the text and the time.
            </span>
            <Wrong field="name" />
          </div>
        </div>
        <div class="field">
          <label for="keep-last">Checkpoints to keep</label>
          <input
            id="keep-last"
            class="num"
            type="text"
            inputMode="numeric"
            autocomplete="off"
            placeholder="1"
            {...wrongAttributes("keepLast")}
            value={keepLast}
            onInput={({ currentTarget }) => change({ keepLast: currentTarget.value.trim() })}
          />
          <div class="below">
            <span class="about soft">
              The run keeps its best checkpoint and this many of its last checkpoints. With 10 checkpoints, “Inside”
              shows how the model learned. Each checkpoint takes disk space.
            </span>
            <Wrong field="keepLast" />
          </div>
        </div>
        {known.length > 0 && (
          <div class="field">
            <label for="init-from">Begin with</label>
            <select
              id="init-from"
              {...wrongAttributes("initFrom")}
              value={initFrom}
              onChange={({ currentTarget }) => change({ initFrom: currentTarget.value })}
            >
              <option value="">random weights</option>
              {known.map(({ key, name: model, weights }) => (
                <option key={key} value={key}>
                  {weights === null ? model : `${model}, ${weights}`}
                </option>
              ))}
            </select>
            <div class="below">
              <span class="about soft">A trained model is fine-tuned on this text.</span>
              <Wrong field="initFrom" />
            </div>
          </div>
        )}
      </div>
    </section>
  );
};

/** Main action: starts the run. If a field is wrong, moves to this field. */
const startOrShow = (): void => {
  if (planFailure.value === undefined) void start();
  else goToWrong();
};

export const NewRunView = () => {
  const like = address.value.query.get("like");
  useEffect(() => {
    // Runs once. After a reload, the form keeps later changes.
    if (like !== null) void takeLike(like).finally(() => setQuery({ like: null }));
  }, [like]);
  useEffect(() => {
    void fields.load();
    void models.load();
    return keepPlanning();
  }, []);
  // All parts appear at the same time. Otherwise the form would move while the user clicks.
  const isAsked = [fields, info, models].some(
    ({ value, failure }) => value.value === undefined && failure.value === undefined,
  );
  if (isAsked || like !== null) {
    return (
      <section>
        <h1>New run</h1>
        <p class="soft waiting">Reading the settings…</p>
      </section>
    );
  }
  return (
    <section>
      <h1>New run</h1>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: keys of its fields */}
      <div class="new-run" onKeyDown={onMainAction(startOrShow)}>
        <form class="new-run-form" onSubmit={(event) => event.preventDefault()}>
          <TextChoice />
          <Beginning />
          <Fields />
        </form>
        <PlanPanel />
      </div>
    </section>
  );
};
