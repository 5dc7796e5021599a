import { type RunConfig, runConfigSchema } from "./config.ts";
import { type PresetName, presetNames, presets } from "./presets.ts";

/** A config without the number of steps, its extensions, the seed, the dtype, the intervals and the samples. */
const recipe = (config: RunConfig): string => {
  const { tokenizer, model, train } = runConfigSchema.parse(config);
  const { steps, extensions, seed, dtype, evalInterval, checkpointInterval, sampleTokens, ...rest } = train;
  return JSON.stringify({ tokenizer, model, train: rest });
};

/** The presets by their recipes, once they were asked for: a run asks at every checkpoint, for its page. */
let byRecipe: ReadonlyMap<string, PresetName> | undefined;

/** The preset of `config`, with any number of steps, extended or not, any seed, dtype and intervals; null if there is none. */
export const presetOf = (config: RunConfig): PresetName | null => {
  byRecipe ??= new Map(presetNames.map((name) => [recipe(presets[name]), name]));
  return byRecipe.get(recipe(config)) ?? null;
};
