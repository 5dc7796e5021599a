/** System prompt and sampling settings of answers. Both are folded while they have their defaults. */
import { signal, useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import type { SystemAnswer } from "../../src/serve/studio/protocol.ts";
import { modelOf } from "../models/columns.ts";
import { temperatureControl, topKControl, topPControl } from "../models/sampling-controls.ts";
import { Sliders } from "../parts/sliders.tsx";
import { api, getJson } from "../server/request.ts";
import { change, settings } from "./settings.ts";
import { shortened } from "./shortened.ts";

/** System messages that the models' templates add, by the model's key. Null: unknown. */
const added = signal<ReadonlyMap<string, string | null>>(new Map());

const findAdded = async (key: string): Promise<void> => {
  if (key === "" || added.value.has(key)) return;
  const answer = await getJson<SystemAnswer>(`${api}/models/system?${new URLSearchParams({ model: key })}`);
  if (answer.kind === "ok") added.value = new Map([...added.value, [key, answer.value.added]]);
};

/** What applies while the user has no system prompt. */
const defaultWords = (template: string | null | undefined): string => {
  if (template === "") return "none";
  return typeof template === "string" ? `from the model: ${shortened(template)}` : "none of yours";
};

export const SystemPrompt = () => {
  const { system } = settings.value;
  const about = useId();
  const isOpen = useSignal(system !== "");
  // Unfolds when a system prompt appears, for example when a conversation is opened. Stays unfolded while the user
  // deletes the prompt.
  useEffect(() => {
    if (system !== "") isOpen.value = true;
  }, [system === ""]);
  const model = modelOf("left");
  useEffect(() => void findAdded(model), [model]);
  const template = added.value.get(model);
  return (
    <details
      class="fold chat-fold"
      open={isOpen.value}
      onToggle={({ currentTarget }) => {
        isOpen.value = currentTarget.open;
      }}
    >
      <summary>
        System prompt <span class="soft">{system === "" ? defaultWords(template) : shortened(system)}</span>
      </summary>
      <label class="field">
        <span class="hidden-text">System prompt</span>
        <textarea
          rows={3}
          placeholder="Instructions before the conversation, for example: Answer in one sentence."
          aria-describedby={about}
          value={system}
          onInput={({ currentTarget }) => change({ system: currentTarget.value })}
        />
      </label>
      <p id={about} class="soft about">
        The system prompt applies from the next answer on.{" "}
        {template === ""
          ? "If it is empty, there is none: the model’s chat template adds none."
          : typeof template === "string"
            ? `If it is empty, the model’s chat template adds its own: “${template}”`
            : "If it is empty, the model’s chat template may add its own."}
      </p>
    </details>
  );
};

const controls = [temperatureControl, topPControl, topKControl];

const whole = (value: string, least: number): number => Math.max(least, Math.floor(Number(value)) || least);

export const SettingsForm = () => {
  const { temperature, topP, topK, maxNewTokens, seed } = settings.value;
  return (
    <details class="fold chat-fold">
      <summary>
        Settings{" "}
        <span class="soft num">
          temperature {temperature}, top-p {topP}, top-k {topK}, at most {maxNewTokens} tokens, seed {seed}
        </span>
      </summary>
      <div class="sampling">
        <Sliders
          controls={controls}
          values={{ temperature, topP, topK }}
          onChange={(key, value) => change({ [key]: value })}
        />
      </div>
      <div class="row chat-numbers">
        <label class="field inline">
          Most tokens
          <input
            type="number"
            class="num"
            min={1}
            max={10_000}
            step={1}
            value={maxNewTokens}
            onInput={({ currentTarget }) => change({ maxNewTokens: Math.min(10_000, whole(currentTarget.value, 1)) })}
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
            onInput={({ currentTarget }) => change({ seed: whole(currentTarget.value, 0) })}
          />
        </label>
      </div>
    </details>
  );
};
