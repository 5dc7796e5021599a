/** Form that gives more steps to a run that has ended or was stopped. */
import { useSignal } from "@preact/signals";
import { longerSteps, stepsInVain } from "../../src/config/longer-steps.ts";
import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { count } from "../parts/format.ts";
import { Segmented } from "../parts/segmented.tsx";

export type Extend = "stretch" | "restart" | "constant";

const schedules: readonly { readonly value: Extend; readonly label: string }[] = [
  { value: "stretch", label: "Stretch" },
  { value: "restart", label: "Restart" },
  { value: "constant", label: "Constant" },
];
const scheduleHelp: Readonly<Record<Extend, string>> = {
  stretch: "From here, the learning rate follows the schedule of the longer run.",
  restart: "The learning rate warms up again and follows its schedule over the new steps.",
  constant: "The learning rate stays at its last value.",
};

const patienceHelp = (patience: number): string =>
  `The run ends early after ${patience === 1 ? "1 evaluation" : `${patience} evaluations in a row`} without a better validation loss (patience).`;

export interface ExtendFormProps {
  readonly run: RunSummary;
  readonly disabled: boolean;
  /** Label of the button while a request is pending. */
  readonly busy: string | undefined;
  readonly onClose: () => void;
  readonly onExtend: (more: { readonly steps: number; readonly extend: Extend }) => void;
}

export const ExtendForm = ({ run, disabled, busy, onClose, onExtend }: ExtendFormProps) => {
  const { step, steps, state, config, best } = run;
  const typed = useSignal<string | undefined>(undefined);
  const extend = useSignal<Extend>("stretch");
  const { patience } = config.train;
  const inVain = state === "finished" || state === "patience" ? stepsInVain(config.train, step, best?.step) : 0;
  // A run that ended early still has planned steps left.
  const value = typed.value ?? String(state === "patience" ? steps : longerSteps(config.train, steps));
  const wanted = Number(value);
  const isLonger = Number.isInteger(wanted) && wanted > step;
  return (
    <form
      id="extend"
      class="extend-form"
      onKeyDown={({ key }) => {
        if (key === "Escape") onClose();
      }}
      onSubmit={(event) => {
        event.preventDefault();
        if (!isLonger || disabled) return;
        typed.value = undefined;
        onExtend({ steps: wanted, extend: extend.value });
      }}
    >
      <label class="field">
        Total steps
        <input
          type="number"
          min={step + 1}
          step={1}
          required
          value={value}
          onInput={({ currentTarget }) => {
            typed.value = currentTarget.value;
          }}
        />
      </label>
      <Segmented
        label="Learning rate"
        options={schedules}
        value={extend.value}
        onChange={(chosen) => {
          extend.value = chosen;
        }}
      />
      <p class="soft">{scheduleHelp[extend.value]}</p>
      {inVain > 0 && best !== null && (
        <p class="soft">
          {`The last ${count(inVain)} added ${inVain === 1 ? "step" : "steps"} found no better weights: the best weights are still from step ${count(best.step)}.`}
        </p>
      )}
      {patience > 0 && <p class="soft">{patienceHelp(patience)}</p>}
      <button type="submit" class="primary" disabled={disabled || !isLonger}>
        {busy ?? (isLonger ? `Train ${count(wanted - step)} more steps` : `More than ${count(step)} steps`)}
      </button>
    </form>
  );
};
