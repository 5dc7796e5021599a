/** Settings of a new run. The most used settings come first. All other settings are folded. */
import type { ComponentChildren } from "preact";
import { SweepsLast } from "../models/sweeps-last.tsx";
import { asSentence } from "../parts/format.ts";
import { info, models } from "../server/facts.ts";
import { change, draft, request, setValue } from "./draft.ts";
import { ConfigField, Groups } from "./fields.tsx";
import { wrongAt, wrongPlaces } from "./planned.ts";
import { Wrong, wrongAttributes } from "./wrong.tsx";

interface OwnFieldProps {
  readonly id: string;
  /** Field of the request. */
  readonly field: string;
  readonly label: string;
  readonly about: ComponentChildren;
  /** Control of the field. */
  readonly children: ComponentChildren;
}

/** A field that is not part of the configuration. */
const OwnField = ({ id, field, label, about, children }: OwnFieldProps) => (
  <div class="field">
    <label for={id}>{label}</label>
    {children}
    <div class="below">
      <div class="about soft">{about}</div>
      <Wrong field={field} />
    </div>
  </div>
);

const Name = () => (
  <OwnField
    id="run-name"
    field="name"
    label="Name"
    about="Name of the run’s folder: letters, digits, “-”, “_” and “.”. Default: a name from the text and the time."
  >
    <input
      id="run-name"
      type="text"
      autocomplete="off"
      spellcheck={false}
      placeholder="automatic"
      {...wrongAttributes("name")}
      value={draft.value.name}
      onInput={({ currentTarget }) => change({ name: currentTarget.value })}
    />
  </OwnField>
);

const Recipe = () => {
  const { preset } = draft.value;
  const presets = info.value.value?.presets ?? [];
  const about = (
    <>
      {asSentence(
        presets.find((one) => one.name === preset)?.about ?? "Sizes and steps are chosen from the length of the text",
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
    </>
  );
  return (
    <OwnField id="preset" field="preset" label="Recipe" about={about}>
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
    </OwnField>
  );
};

/** Trains an adapter in place of the whole model. The plan shows the memory of the choice. */
const AdapterChoice = () => {
  const path = "lora.rank";
  const isChosen = draft.value.values[path] !== undefined;
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={isChosen}
        onChange={({ currentTarget }) => setValue(path, currentTarget.checked ? "8" : "")}
      />
      Adapter (LoRA): trains few parameters, so it needs less memory
    </label>
  );
};

/** The model that the run begins with. Shows nothing if there is no model. */
export const BeginWith = () => {
  const { initFrom } = draft.value;
  // A run starts from a whole model, not from an adapter. An adapter that the user has already chosen stays in the
  // list, with an error.
  const known = (models.value.value?.models ?? []).filter(({ key, isAdapter }) => !isAdapter || key === initFrom);
  const isAsked = wrongAt("initFrom") !== undefined;
  if (known.length === 0 && !isAsked) return null;
  return (
    <OwnField
      id="init-from"
      field="initFrom"
      label="Begin with"
      about={
        <>
          With a trained model, the run fine-tunes this model on the text.
          {isAsked && known.every(({ hasChatTemplate }) => hasChatTemplate === false) && (
            <>
              {" "}
              To have a chat model here, start <code>studio --model hf:NAME</code> with its name.
            </>
          )}
          {(initFrom !== "" || draft.value.values["lora.rank"] !== undefined) && <AdapterChoice />}
        </>
      }
    >
      <select
        id="init-from"
        {...wrongAttributes("initFrom")}
        value={initFrom}
        onChange={({ currentTarget }) => change({ initFrom: currentTarget.value })}
      >
        <option value="">random weights</option>
        <SweepsLast
          all={known}
          option={({ key, name: model, weights }) => (
            <option key={key} value={key}>
              {weights === null ? model : `${model}, ${weights}`}
            </option>
          )}
        />
      </select>
    </OwnField>
  );
};

const KeepLast = () => (
  <OwnField
    id="keep-last"
    field="keepLast"
    label="Checkpoints to keep"
    about="The run keeps its best checkpoint and this many of its last checkpoints. With 10 checkpoints, “Inside” shows how the model learned. Each checkpoint takes disk space."
  >
    <input
      id="keep-last"
      class="num"
      type="text"
      inputMode="numeric"
      autocomplete="off"
      placeholder="1"
      {...wrongAttributes("keepLast")}
      value={draft.value.keepLast}
      onInput={({ currentTarget }) => change({ keepLast: currentTarget.value.trim() })}
    />
  </OwnField>
);

/** The settings are folded until there is a text, because they follow from the text. */
export const Settings = () => {
  const isReady = request.value !== undefined;
  const isOpen = isReady || Object.keys(draft.value.values).length > 0 || wrongPlaces.value.length > 0;
  return (
    <details class="form-part settings-part" open={isOpen}>
      <summary>
        <h2>Settings</h2>{" "}
        <span class="soft about">Each setting has a value that fits the text. Change only what you want to try.</span>
      </summary>
      <div class="fields">
        <Name />
        <Recipe />
        <ConfigField path="train.steps" />
      </div>
      <Groups training={<KeepLast />} />
    </details>
  );
};
