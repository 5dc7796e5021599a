import { inferenceContext, withContext } from "#foretoken/autograd/context.js";
import { readTensor } from "#foretoken/autograd/tensor.js";
import { createRoom } from "#foretoken/engine/room.js";
import { openSequence, type Sequence } from "#foretoken/engine/sequence.js";
import { forward } from "#foretoken/models/forward.js";
import type { Model } from "#foretoken/models/model.js";

/**
 * Logits [T · V] of all positions of a text within the context. One pass computes the logits, without cache and without
 * engine.
 */
export const logitsOfText = (model: Model, ids: ArrayLike<number>): Promise<Float32Array> =>
  withContext(inferenceContext(model.backend), async (context) =>
    Float32Array.from(await readTensor(model.backend, forward(context, model, ids, 1, ids.length))),
  );

/** Logits [V] after a text of any length. One pass over the last tokens computes the logits. */
export const logitsAfter = async (model: Model, ids: readonly number[]): Promise<Float32Array> => {
  const all = await logitsOfText(model, ids.slice(-model.config.contextLength));
  return all.slice(-model.vocabSize);
};

/** A text in the memory of an engine. The text grows when its user adds tokens. */
export interface GrowingText {
  /** Logits [V] after `ids`. `ids` must begin with the ids of the previous call. Only the new ids are computed. */
  next(ids: readonly number[]): Promise<Float32Array>;
  close(): void;
}

/**
 * @param longest maximum number of tokens.
 * @param recomputes whether each call computes all tokens again.
 */
export const growingText = (model: Model, longest = model.config.contextLength, recomputes = false): GrowingText => {
  const room = createRoom(model, 1);
  let sequence: Sequence | null = null;
  const begin = (prompt: readonly number[]): Sequence => {
    const maxNewTokens = longest - prompt.length + 1;
    const opened = openSequence(room, { model, prompt, maxNewTokens, recomputes, choose: () => null });
    if (opened === null) throw new Error("a room has pages for one context");
    return opened;
  };
  return {
    async next(ids) {
      sequence ??= begin(ids);
      for (const id of ids.slice(sequence.ids.length)) sequence.append(id);
      const passes = room.passesFor(model);
      let last: Float32Array | undefined;
      while (sequence.missing > 0) {
        const piece = sequence.piece(Number.POSITIVE_INFINITY);
        const [logits = []] = await passes.run([piece]);
        sequence.done(piece);
        last = logits.at(-1);
      }
      if (last === undefined) throw new Error("each call must have new tokens");
      return last.slice();
    },
    close() {
      sequence?.close();
      room.close();
    },
  };
};
