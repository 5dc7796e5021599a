import type { Context, Rounded } from "../autograd/context.ts";
import { repeatedMemory } from "../autograd/repeated-memory.ts";
import { readTensor, type Tensor } from "../autograd/tensor.ts";
import type { RecordedCalls } from "../backend/backend.ts";
import { type Extrapolation, extrapolate } from "../backend/calls/extrapolate.ts";
import type { HostArray } from "../core/tensors/dtype.ts";
import { checkIds, type Model, uploadIds } from "../models/model.ts";
import { logitsOf, transformer } from "../models/transformer.ts";
import type { AttentionCache } from "../ops/causal-attention.ts";

/** Steps of decoding by one token each. */
export interface SingleSteps {
  /** Does beforehand what all steps have in common, where it has not been done: so none takes longer than another. */
  prepare(): void;
  /** Logits [V] after token `id` at `position`, whose keys and values join those of the positions before it. */
  next(id: number, position: number): Promise<HostArray>;
  /** Gives the temporaries back; a later step takes them anew. */
  release(): void;
}

/** Where a step takes its token from, and where it leaves the logits. */
interface Ends {
  readonly input: Tensor;
  readonly logits: Tensor;
}

/**
 * Steps of a model over `layers`, the caches of keys and values. Every step makes the same kernel calls on the same
 * temporaries, and the numbers in them change with the position alone: so those at positions 0 and 1 are noted, and all
 * steps replay them.
 */
export const singleSteps = (model: Model, rounded: Rounded | null, layers: readonly AttentionCache[]): SingleSteps => {
  const { backend, config, arena, parameters } = model;
  const memory = repeatedMemory(backend, arena.storage.dtype === "float64" ? "float64" : "float32");
  const context: Context = { backend, memory, tape: null, dropout: null, rounded };
  const token = new Int32Array(1);
  let noted: (Ends & { readonly calls: Extrapolation }) | undefined;

  const compute = (id: number, position: number): Ends => {
    memory.rewind();
    const input = uploadIds(context, model, [id], 1, 1);
    const hidden = transformer(context, config, parameters, input, { at: position, layers }); // [1, 1, C]
    return { input, logits: logitsOf(context, parameters, hidden) }; // [1, 1, V]
  };

  const note = (position: number): Ends & { readonly calls: RecordedCalls } => {
    let ends: Ends | undefined;
    const calls = backend.record?.(() => {
      ends = compute(0, position);
    });
    if (ends === undefined || calls === undefined) throw new Error("a step has calls and ends");
    return { ...ends, calls };
  };

  return {
    prepare() {
      if (noted !== undefined || backend.record === undefined) return;
      const { calls: first } = note(0);
      const { calls: second, ...ends } = note(1);
      noted = { ...ends, calls: extrapolate(first, second) };
    },
    next(id, position) {
      if (noted === undefined) return readTensor(backend, compute(id, position).logits);
      token[0] = id;
      checkIds(model, [id]);
      backend.write(noted.input.storage, token, noted.input.offset);
      backend.replay?.(noted.calls.at(position));
      return readTensor(backend, noted.logits);
    },
    release() {
      memory.close();
      noted = undefined;
    },
  };
};
