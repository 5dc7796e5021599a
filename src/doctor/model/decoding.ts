/**
 * Checks generation token by token with a KV cache. The logits must be exactly the logits of one forward pass over the
 * whole text.
 */
import { createSequenceEngine } from "../../engine/engine.ts";
import type { Model } from "../../models/model.ts";
import { failed, ok, type Verdict } from "../check.ts";
import { type Form, withBackend } from "./forms.ts";
import { firstDifference, logitsOf, shapes, smallModel, tokens, vocabSize } from "./small-models.ts";

/** Lengths of the prompt. The prompt is computed in one forward pass. */
const promptLengths = [1, 5, 33] as const;

/** The first text length at which the engine's logits differ from `wanted`. Undefined if all logits are equal. */
const firstWrong = async (
  model: Model,
  ids: readonly number[],
  promptLength: number,
  wanted: Float32Array,
): Promise<number | undefined> => {
  const engine = createSequenceEngine(model, { cacheBytes: 1, maxSequences: 1 });
  let length = promptLength;
  let wrong: number | undefined;
  try {
    await engine.write({
      model,
      prompt: ids.slice(0, promptLength),
      maxNewTokens: ids.length - promptLength + 1,
      choose: (logits) => {
        const row = wanted.subarray((length - 1) * vocabSize, length * vocabSize);
        if (firstDifference(logits.slice(), row) >= 0) wrong ??= length;
        return wrong === undefined ? (ids[length++] ?? null) : null;
      },
    }).ended;
  } finally {
    await engine.close();
  }
  return wrong;
};

export const checkDecoding = async (forms: readonly Form[], advice: string): Promise<Verdict> => {
  for (const form of forms) {
    for (const shape of shapes) {
      const fault = await withBackend(form, 1, async (backend) => {
        const model = smallModel(backend, shape);
        for (const promptLength of promptLengths) {
          // Use a different text each time. With the same text, a fault could stay hidden. If a position were not
          // written, the cache would still contain the right keys from the previous text.
          const ids = tokens(shape.config.contextLength, 100 + promptLength);
          const wanted = await logitsOf(model, ids);
          const wrong = await firstWrong(model, [...ids], promptLength, wanted);
          if (wrong !== undefined)
            return `after ${wrong} tokens (the first ${promptLength} in one pass), the logits differ`;
        }
        model.close();
        return undefined;
      });
      if (fault !== undefined)
        return failed(`${fault} from the logits without the KV cache, in ${shape.name} (${form.words})`, advice);
    }
  }
  return ok("the logits have the same bits with and without the KV cache");
};
