/** Sampling settings in short: the temperature, and the settings that leave out tokens. */
import type { Sampling } from "./settings-in-address.ts";

export const samplingWords = ({ temperature, topK, topP, minP }: Sampling): string =>
  [
    `temperature ${temperature}`,
    ...(topK > 0 ? [`top-k ${topK}`] : []),
    ...(topP < 1 ? [`top-p ${topP}`] : []),
    ...(minP > 0 ? [`min-p ${minP}`] : []),
  ].join(", ");
