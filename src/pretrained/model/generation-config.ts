/**
 * Default sampling of `generate`. Checkpoints also have these values in `generation_config.json`, for other software
 * such as `transformers`. From that file, Foretoken reads only the end tokens.
 */
export const generationDefaults = { maxNewTokens: 400, temperature: 0.8, topK: 40 } as const;
