/**
 * Checks the causal mask. A changed token must not change any bit of earlier logits, and must change the logits at its
 * own position.
 */
import { failed, ok, type Verdict } from "../check.ts";
import { type Form, withBackend } from "./forms.ts";
import { firstDifference, logitsOf, shapes, smallModel, tokens, vocabSize } from "./small-models.ts";

/** Positions of the tokens to change, one at a time. */
const places = [1, 16, 32, 40] as const;

export const checkMask = async (forms: readonly Form[], advice: string): Promise<Verdict> => {
  for (const form of forms) {
    for (const shape of shapes) {
      const fault = await withBackend(form, 1, async (backend) => {
        const model = smallModel(backend, shape);
        const ids = tokens(shape.config.contextLength, 5);
        const before = await logitsOf(model, ids);
        for (const place of places) {
          const changed = ids.slice();
          changed[place] = ((ids[place] ?? 0) + 1) % vocabSize;
          const after = await logitsOf(model, changed);
          const row = Math.floor(firstDifference(after, before) / vocabSize);
          if (row >= 0 && row < place) return `position ${row} sees token ${place}, which comes after it`;
          if (row !== place) return `position ${place} does not see its own token`;
        }
        model.close();
        return undefined;
      });
      if (fault !== undefined) return failed(`${fault}, in ${shape.name} (${form.words})`, advice);
    }
  }
  return ok("no token changes a bit of earlier logits");
};
