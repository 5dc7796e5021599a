import { change, type Side, settings } from "./settings.ts";
import type { Sampling } from "./settings-in-address.ts";

interface Control {
  readonly key: keyof Sampling;
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly about: string;
}

const controls: readonly Control[] = [
  {
    key: "temperature",
    label: "Temperature",
    min: 0,
    max: 2,
    step: 0.05,
    about: "0 takes the likeliest token; higher is bolder",
  },
  { key: "topK", label: "Top-k", min: 0, max: 100, step: 1, about: "only the k likeliest; 0: all" },
  { key: "topP", label: "Top-p", min: 0.05, max: 1, step: 0.05, about: "the likeliest that together reach p; 1: all" },
  { key: "minP", label: "Min-p", min: 0, max: 0.5, step: 0.01, about: "at least this share of the likeliest; 0: all" },
];

export const SamplingControls = ({ side }: { readonly side: Side }) => {
  const now = settings.value[side];
  return (
    <div class="sampling">
      {controls.map(({ key, label, about, ...range }) => (
        <label class="slider" key={key} title={about}>
          <span>{label}</span>
          <input
            type="range"
            {...range}
            value={now[key]}
            onInput={({ currentTarget }) => change({ [side]: { ...now, [key]: Number(currentTarget.value) } })}
          />
          <output class="num">{now[key]}</output>
        </label>
      ))}
    </div>
  );
};
