import { signal } from "@preact/signals";
import { Segmented } from "../parts/segmented.tsx";
import { keep, readKept } from "../shell/kept.ts";
import { surpriseLevels } from "./surprise.ts";
import type { Form } from "./token-text.tsx";

export const form = signal<Form>(readKept<Form>("form") ?? "shade");

const forms = [
  { value: "shade", label: "Shade" },
  { value: "underline", label: "Underline" },
  { value: "numbers", label: "Bits" },
] as const;

/** Legend of the shades. Users who cannot see the shades can choose another display. */
export const Legend = () => (
  <div class="legend">
    <Segmented
      label="Probability as"
      value={form.value}
      options={forms}
      onChange={(value) => {
        form.value = value;
        keep("form", value);
      }}
    />
    <ul class="legend-levels" aria-label="Probability of a token">
      {surpriseLevels.map(({ level, label, brief = label }) => (
        <li key={level}>
          <span class={`token ${form.value === "numbers" ? "shade" : form.value} level-${level}`}>
            <span class="where-wide">{label}</span>
            <span class="where-narrow">{brief}</span>
          </span>
        </li>
      ))}
    </ul>
  </div>
);
