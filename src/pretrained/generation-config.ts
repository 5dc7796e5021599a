/** The sampling that a checkpoint names in its `generation_config.json`, and that `generate` uses where told nothing. */
export const generationDefaults = { maxNewTokens: 400, temperature: 0.8, topK: 40 } as const;
