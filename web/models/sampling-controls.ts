/** How a token is drawn, as sliders of the page have it. */
import type { SliderControl } from "../parts/sliders.tsx";

export const temperatureControl: SliderControl<"temperature"> = {
  ...{ key: "temperature", label: "Temperature", min: 0, max: 2, step: 0.05 },
  about: "0 takes the likeliest token; higher is bolder",
};
export const topKControl: SliderControl<"topK"> = {
  ...{ key: "topK", label: "Top-k", min: 0, max: 100, step: 1 },
  about: "only the k likeliest; 0: all",
};
export const topPControl: SliderControl<"topP"> = {
  ...{ key: "topP", label: "Top-p", min: 0.05, max: 1, step: 0.05 },
  about: "the likeliest that together reach p; 1: all",
};
export const minPControl: SliderControl<"minP"> = {
  ...{ key: "minP", label: "Min-p", min: 0, max: 0.5, step: 0.01 },
  about: "at least this share of the likeliest; 0: all",
};
