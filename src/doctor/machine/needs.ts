/** Memory and disk space for training with a preset on the built-in text. */
import type { MemoryKind } from "../../backend/observers/counting.ts";
import { type PresetName, presets } from "../../config/presets.ts";
import { bytesPerElement } from "../../core/tensors/dtype.ts";
import { estimateMemory } from "../../train/prepare/memory.ts";
import { stateLayouts, stateLength } from "../../trainer/state.ts";

/** Built-in text: distinct characters, training tokens and validation tokens. */
export const builtInText = { vocabSize: 65, trainTokens: 1_003_854, valTokens: 111_540 } as const;

/** Memory of Node.js with this library, before a model is allocated. */
const programBytes = 150 * 2 ** 20;

/** Maximum bytes of memory of a run with this preset. */
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

/**
 * Maximum bytes of files of a run with this preset: the last checkpoint, the next checkpoint, and two copies of the
 * best weights.
 */
export const filesOfPreset = (name: PresetName): number => {
  const layouts = stateLayouts(presets[name], builtInText.vocabSize);
  const weights = layouts[0]?.layout.length ?? 0;
  return 2 * (stateLength(layouts) + weights) * bytesPerElement.float32;
};
