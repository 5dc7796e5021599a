import { type RunConfig, runConfigSchema } from "./config.ts";
import { type PresetName, presetNames, presets } from "./presets.ts";

/** A configuration without its steps, extensions, seed, dtype, intervals and samples. */
const recipe = (config: RunConfig): string => {
  const { tokenizer, model, train } = runConfigSchema.parse(config);
  const { steps, extensions, seed, dtype, evalInterval, checkpointInterval, sampleTokens, ...rest } = train;
  return JSON.stringify({ tokenizer, model, train: rest });
};

/** Presets by recipe. They are cached, because a run looks up its preset at every checkpoint for the run's page. */
let byRecipe: ReadonlyMap<string, PresetName> | undefined;

/** The preset that equals `config`. Steps, extensions, seed, dtype and intervals may differ. Null if there is none. */
export const presetOf = (config: RunConfig): PresetName | null => {
  byRecipe ??= new Map(presetNames.map((name) => [recipe(presets[name]), name]));
  return byRecipe.get(recipe(config)) ?? null;
};
