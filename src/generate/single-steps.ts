import type { Context, Rounded } from "../autograd/context.ts";
import { repeatedMemory } from "../autograd/repeated-memory.ts";
import { readTensor, type Tensor } from "../autograd/tensor.ts";
import { type Extrapolation, extrapolate, type RecordedAt } from "../backend/extrapolate.ts";
import type { HostArray } from "../core/dtype.ts";
import { type Model, uploadIds } from "../models/model.ts";
import { type CachedSequence, logitsOf, transformer } from "../models/transformer.ts";

/** Steps of decoding by one token each. */
export interface SingleSteps {
  /** Logits [V] after token `id` at `position`, whose keys and values join those of the positions before it. */
  next(id: number, position: number): Promise<HostArray>;
  /** Gives the temporaries back; a later step takes them anew. */
  release(): void;
}

/**
 * Steps of a model over `layers`, the caches of keys and values. Every step makes the same kernel calls on the same
 * temporaries, and the numbers in them change with the position alone: so two successive steps are noted, and the others
 * replay them.
 */
export const singleSteps = (model: Model, rounded: Rounded | null, layers: CachedSequence["layers"]): SingleSteps => {
  const { backend, config, arena, parameters } = model;
  const memory = repeatedMemory(backend, arena.storage.dtype === "float64" ? "float64" : "float32");
  const context: Context = { backend, memory, tape: null, dropout: null, rounded };
  let earlier: RecordedAt | undefined;
  let replayed: { readonly calls: Extrapolation; readonly logits: Tensor } | undefined;

  const compute = (input: Tensor, position: number): Tensor => {
    const hidden = transformer(context, config, parameters, input, { layers, length: position }); // [1, 1, C]
    return logitsOf(context, parameters, hidden); // [1, 1, V]
  };

  const computeNoted = (input: Tensor, position: number): Tensor => {
    if (backend.record === undefined) return compute(input, position);
    let logits: Tensor | undefined;
    const calls = backend.record(() => {
      logits = compute(input, position);
    });
    if (logits === undefined) throw new Error("a step has logits");
    const noted = { position, calls };
    if (earlier?.position === position - 1) replayed = { calls: extrapolate(earlier, noted), logits };
    earlier = noted;
    return logits;
  };

  return {
    async next(id, position) {
      memory.rewind();
      const input = uploadIds(context, model, [id], 1, 1);
      if (replayed === undefined || backend.replay === undefined)
        return readTensor(backend, computeNoted(input, position));
      backend.replay(replayed.calls.at(position));
      return readTensor(backend, replayed.logits);
    },
    release() {
      memory.close();
      earlier = undefined;
      replayed = undefined;
    },
  };
};
