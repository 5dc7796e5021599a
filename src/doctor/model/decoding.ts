/** Writing token by token with keys and values in memory gives the logits of a pass over the whole text, to the bit. */
import { createSequenceEngine } from "../../engine/engine.ts";
import type { Model } from "../../models/model.ts";
import { failed, ok, type Verdict } from "../check.ts";
import { type Form, withBackend } from "./forms.ts";
import { firstDifference, logitsOf, shapes, smallModel, tokens, vocabSize } from "./small-models.ts";

/** Lengths of a beginning that is computed in one pass. */
const promptLengths = [1, 5, 33] as const;

/** The first length at which the logits of an engine are others than those of `wanted`; undefined: none. */
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
          // Another text each time: a position that is forgotten must not find the right keys of the last one there.
          const ids = tokens(shape.config.contextLength, 100 + promptLength);
          const wanted = await logitsOf(model, ids);
          const wrong = await firstWrong(model, [...ids], promptLength, wanted);
          if (wrong !== undefined)
            return `after ${wrong} tokens, ${promptLength} of them at once, the logits are others`;
        }
        model.close();
        return undefined;
      });
      if (fault !== undefined)
        return failed(`${fault} than without the cache, in ${shape.name} (${form.words})`, advice);
    }
  }
  return ok("the cache changes no bit of a logit");
};
