import { inferenceContext, withContext } from "../autograd/context.ts";
import { readTensor, slice, type Tensor } from "../autograd/tensor.ts";
import type { HostArray } from "../core/tensors/dtype.ts";
import { type Model, uploadIds } from "../models/model.ts";
import { logitsOf, transformer } from "../models/transformer.ts";
import { createKeyValueCache } from "./key-value-cache.ts";
import { singleSteps } from "./single-steps.ts";

/**
 * The logits that follow a growing sequence. Within the context length keys and values of earlier positions are kept
 * (the KV cache), so each new token costs one row; past it the last contextLength tokens are computed afresh, since
 * every position has moved. Either way the bits are those of a full forward pass over the same window.
 */
export interface Decoder {
  /** Logits [V] after `ids`, of which the first ones must be those of the call before. */
  next(ids: readonly number[]): Promise<Float32Array>;
  close(): void;
}

const lastRow = (hidden: Tensor): Tensor => {
  const [, time, channels] = hidden.shape as readonly [number, number, number];
  return slice(hidden, (time - 1) * channels, [1, channels]);
};

const asFloat32 = (data: HostArray): Float32Array => (data instanceof Float32Array ? data : Float32Array.from(data));

/** Follows the model with its weights as they are now. `cache` false computes every step from the start (to compare with). */
export const createDecoder = (model: Model, cache = true): Decoder => {
  const { backend, config, parameters } = model;
  const { contextLength, mask } = config;
  const rounded = model.rounded()?.of ?? null;
  // Without a mask an earlier position changes with each new one: there is nothing to keep.
  const keeps = cache && mask === "causal";
  const kept = keeps ? createKeyValueCache(model) : null;
  const layers = kept?.layers ?? [];
  const steps = singleSteps(model, rounded, layers);
  let cachedLength = 0;

  const nextOfMany = (fresh: readonly number[], start: number | null): Promise<HostArray> =>
    withContext(inferenceContext(backend, rounded), async (context) => {
      const input = uploadIds(context, model, fresh, 1, fresh.length);
      const places = start === null ? {} : { at: start, layers };
      const hidden = transformer(context, config, parameters, input, places); // [1, T, C]
      return readTensor(backend, logitsOf(context, parameters, lastRow(hidden))); // [1, V]
    });

  return {
    async next(ids) {
      if (!keeps || ids.length > contextLength) {
        steps.release();
        return asFloat32(await nextOfMany(ids.slice(-contextLength), null));
      }
      if (kept?.reserve(ids.length) === true) {
        // The noted calls are for the memory before.
        steps.release();
        if (ids.length < contextLength) steps.prepare();
      }
      const position = ids.length - 1;
      if (position > 0 && position === cachedLength) {
        const logits = await steps.next(ids[position] as number, position);
        cachedLength = ids.length;
        return asFloat32(logits);
      }
      const logits = await nextOfMany(ids.slice(cachedLength), cachedLength);
      cachedLength = ids.length;
      if (ids.length < contextLength) steps.prepare();
      return asFloat32(logits);
    },
    close() {
      // A closed backend has freed everything, and would refuse to free it again.
      if (backend.isClosed()) return;
      steps.release();
      kept?.free();
    },
  };
};
