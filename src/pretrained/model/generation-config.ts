/**
 * Default sampling of `generate`. Checkpoints also contain it in `generation_config.json`, for other software such as
 * `transformers`. Foretoken reads only the end tokens from that file.
 */
export const generationDefaults = { maxNewTokens: 400, temperature: 0.8, topK: 40 } as const;
