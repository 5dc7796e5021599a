/**
 * The sampling that `generate` uses where told nothing. Checkpoints name it in `generation_config.json` too: for other
 * software, as `transformers`; nothing here reads that file.
 */
export const generationDefaults = { maxNewTokens: 400, temperature: 0.8, topK: 40 } as const;
