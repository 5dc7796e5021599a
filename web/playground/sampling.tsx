import type { Side } from "../models/columns.ts";
import { minPControl, temperatureControl, topKControl, topPControl } from "../models/sampling-controls.ts";
import { NarrowFold } from "../parts/narrow-fold.tsx";
import { Sliders } from "../parts/sliders.tsx";
import { change, settings } from "./settings.ts";

const controls = [temperatureControl, topKControl, topPControl, minPControl];

export const SamplingControls = ({ side }: { readonly side: Side }) => {
  const now = settings.value[side];
  return (
    <NarrowFold name="Sampling" values={controls.map(({ key, label }) => `${label} ${now[key]}`).join(", ")}>
      <div class="sampling">
        <Sliders
          controls={controls}
          values={now}
          onChange={(key, value) => change({ [side]: { ...now, [key]: value } })}
        />
      </div>
    </NarrowFold>
  );
};
