/** System prompt and sampling settings of answers. Both are folded while they have their defaults. */
import { useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import { temperatureControl, topKControl, topPControl } from "../models/sampling-controls.ts";
import { Sliders } from "../parts/sliders.tsx";
import { change, settings } from "./settings.ts";

const mostShown = 60;

export const SystemPrompt = () => {
  const { system } = settings.value;
  const about = useId();
  const isOpen = useSignal(system !== "");
  // Unfolds when a system prompt appears, for example when a conversation is opened. Stays unfolded while the user
  // deletes the prompt.
  useEffect(() => {
    if (system !== "") isOpen.value = true;
  }, [system === ""]);
  const beginning = [...system].slice(0, mostShown).join("");
  return (
    <details
      class="fold chat-fold"
      open={isOpen.value}
      onToggle={({ currentTarget }) => {
        isOpen.value = currentTarget.open;
      }}
    >
      <summary>
        System prompt <span class="soft">{system === "" ? "none" : beginning}</span>
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
        The system prompt applies from the next answer on. If it is empty, the model’s template can add its own system
        prompt.
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
