import { type RunConfig, runConfigSchema } from "./config.ts";
import { type PresetName, presetNames, presets } from "./presets.ts";

/** What makes a run another run of the same recipe, and not another recipe. */
const recipe = (config: RunConfig): string => {
  const { model, train } = runConfigSchema.parse(config);
  return JSON.stringify({ model, train: { ...train, steps: 0, seed: 0 } });
};

/** The preset that `config` is, whatever its number of steps and its seed; null where it is none. */
export const presetOf = (config: RunConfig): PresetName | null =>
  presetNames.find((name) => recipe(presets[name]) === recipe(config)) ?? null;
