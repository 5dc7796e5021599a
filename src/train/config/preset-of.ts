import { type RunConfig, runConfigSchema } from "./config.ts";
import { type PresetName, presetNames, presets } from "./presets.ts";

/** A config without what no weight depends on, and without how long, from where and how precisely. */
const recipe = (config: RunConfig): string => {
  const { tokenizer, model, train } = runConfigSchema.parse(config);
  const { steps, seed, dtype, evalInterval, checkpointInterval, sampleTokens, ...rest } = train;
  return JSON.stringify({ tokenizer, model, train: rest });
};

/** The preset that `config` is, whatever its number of steps, its seed, its dtype and its intervals; null where it is none. */
export const presetOf = (config: RunConfig): PresetName | null =>
  presetNames.find((name) => recipe(presets[name]) === recipe(config)) ?? null;
