/** Sliders for sampling: how a token is drawn. */
import type { SliderControl } from "../parts/sliders.tsx";

export const temperatureControl: SliderControl<"temperature"> = {
  ...{ key: "temperature", label: "Temperature", min: 0, max: 2, step: 0.05 },
  about: "0 always chooses the likeliest token; higher values choose unlikely tokens more often",
};
export const topKControl: SliderControl<"topK"> = {
  ...{ key: "topK", label: "Top-k", min: 0, max: 100, step: 1 },
  about: "keep only the k likeliest tokens (0 keeps all tokens)",
};
export const topPControl: SliderControl<"topP"> = {
  ...{ key: "topP", label: "Top-p", min: 0.05, max: 1, step: 0.05 },
  about: "keep the likeliest tokens until their probabilities add up to p (1 keeps all tokens)",
};
export const minPControl: SliderControl<"minP"> = {
  ...{ key: "minP", label: "Min-p", min: 0, max: 0.5, step: 0.01 },
  about: "minimum probability, as a fraction of the likeliest token’s probability (0 keeps all tokens)",
};
