import type { Side } from "../models/columns.ts";
import { minPControl, temperatureControl, topKControl, topPControl } from "../models/sampling-controls.ts";
import { Sliders } from "../parts/sliders.tsx";
import { change, settings } from "./settings.ts";

const controls = [temperatureControl, topKControl, topPControl, minPControl];

export const SamplingControls = ({ side }: { readonly side: Side }) => {
  const now = settings.value[side];
  return (
    <div class="sampling">
      <Sliders
        controls={controls}
        values={now}
        onChange={(key, value) => change({ [side]: { ...now, [key]: value } })}
      />
    </div>
  );
};
