import type { Side } from "../models/columns.ts";
import { minPControl, temperatureControl, topKControl, topPControl } from "../models/sampling-controls.ts";
import { Sliders } from "../parts/sliders.tsx";
import { Fold } from "./fold.tsx";
import { samplingWords } from "./sampling-words.ts";
import { change, settings } from "./settings.ts";

const controls = [temperatureControl, topKControl, topPControl, minPControl];

export const SamplingControls = ({ side }: { readonly side: Side }) => {
  const now = settings.value[side];
  return (
    <Fold name="Sampling" values={samplingWords(now)}>
      <div class="sampling">
        <Sliders
          controls={controls}
          values={now}
          onChange={(key, value) => change({ [side]: { ...now, [key]: value } })}
        />
      </div>
    </Fold>
  );
};
