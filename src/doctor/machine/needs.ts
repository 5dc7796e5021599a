/** What training with a preset takes, on the built-in text. */
import type { MemoryKind } from "../../backend/observers/counting.ts";
import { type PresetName, presets } from "../../config/presets.ts";
import { bytesPerElement } from "../../core/tensors/dtype.ts";
import { estimateMemory } from "../../train/prepare/memory.ts";
import { stateLayouts, stateLength } from "../../trainer/state.ts";

/** The built-in text: different characters, tokens to train on, and tokens that are held out. */
export const builtInText = { vocabSize: 65, trainTokens: 1_003_854, valTokens: 111_540 } as const;

/** Node.js with this library, before it allocates anything for a model. */
const programBytes = 150 * 2 ** 20;

/** Bytes of memory that a run of the preset takes at most. */
export const memoryOfPreset = async (name: PresetName, kind: MemoryKind): Promise<number> => {
  const config = presets[name];
  const { vocabSize, trainTokens, valTokens } = builtInText;
  const tokens = trainTokens + valTokens;
  const needs = {
    ...{ vocabSize, valTokens, sampleTokens: config.train.sampleTokens, saved: true, resumed: false },
    ...{ text: 4 * tokens, reading: 2 * tokens, program: programBytes, kind },
  };
  return (await estimateMemory(config, needs)).total;
};

/** Bytes of files that a run of the preset has at most: the last checkpoint and the next one, and the best weights twice. */
export const filesOfPreset = (name: PresetName): number => {
  const layouts = stateLayouts(presets[name], builtInText.vocabSize);
  const weights = layouts[0]?.layout.length ?? 0;
  return 2 * (stateLength(layouts) + weights) * bytesPerElement.float32;
};
