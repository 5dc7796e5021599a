/**
 * Default sampling settings of `generate`. Checkpoints also contain these values in `generation_config.json`, for other
 * programs such as `transformers`. Foretoken reads only the end tokens from this file.
 */
export const generationDefaults = { maxNewTokens: 400, temperature: 0.8, topK: 40 } as const;
