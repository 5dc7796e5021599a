import { type RunConfig, runConfigSchema } from "./config.ts";
import { type PresetName, presetNames, presets } from "./presets.ts";

/** A configuration without steps, extensions, seed, dtype, intervals and samples. */
const recipe = (config: RunConfig): string => {
  const { tokenizer, model, train } = runConfigSchema.parse(config);
  const { steps, extensions, seed, dtype, evalInterval, checkpointInterval, sampleTokens, ...rest } = train;
  return JSON.stringify({ tokenizer, model, train: rest });
};

/** Presets by recipe. Cached, because a run looks up its preset at every checkpoint, for its page. */
let byRecipe: ReadonlyMap<string, PresetName> | undefined;

/** The preset that `config` equals, ignoring steps, extensions, seed, dtype and intervals; null if there is none. */
export const presetOf = (config: RunConfig): PresetName | null => {
  byRecipe ??= new Map(presetNames.map((name) => [recipe(presets[name]), name]));
  return byRecipe.get(recipe(config)) ?? null;
};
