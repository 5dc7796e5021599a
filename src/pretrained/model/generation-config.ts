/**
 * Default sampling of `generate`. Checkpoints also have it in `generation_config.json`, for other software such as
 * `transformers`; nothing here reads that file.
 */
export const generationDefaults = { maxNewTokens: 400, temperature: 0.8, topK: 40 } as const;
