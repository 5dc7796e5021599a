/**
 * Executes a model on a backend that only counts, and records the kernel calls with their arguments. So measurements
 * always use the real calls of a model.
 */
import { kernelPlans } from "../../dist/backend/calls/check.js";
import { kernelCost } from "../../dist/backend/calls/cost.js";
import { openCounting } from "../../dist/backend/observers/counting.js";
import { bytesPerElement } from "../../dist/core/tensors/dtype.js";
import { createRoom } from "../../dist/engine/room.js";
import { openSequence } from "../../dist/engine/sequence.js";
import { createModel } from "../../dist/models/model.js";
import { undrawnTrainer } from "../../dist/trainer/trainer.js";
import { randomTokens, runConfig } from "./configs.mjs";

/**
 * A recorded call. `contents` has the values of storages with indices.
 * @typedef {{
 *   kernel: import("../../dist/backend/kernels/kernels.js").KernelName,
 *   args: Readonly<Record<string, unknown>>,
 *   contents: ReadonlyMap<object, Int32Array>,
 *   flops: number, read: number, written: number,
 * }} Call
 */

/**
 * Properties of a backend that change the kernel calls of a model, such as the operand type.
 * @typedef {Pick<import("../../dist/backend/backend.js").Capabilities, "dtype" | "activations" | "tiles">} Kind
 */

/**
 * Calls `prepare` with a backend that only counts. `prepare` resolves to a function, which is then called. Resolves to
 * the kernel calls of this function, in order.
 * @param {(backend: import("../../dist/backend/backend.js").Backend) => Promise<() => Promise<unknown>>} prepare
 * @param {Kind} kind
 */
const record = async (prepare, { dtype, ...kind } = { dtype: "float32", activations: "float32", tiles: null }) => {
  /** @type {Call[]} */
  const calls = [];
  // `run` does not see recorded calls again.
  const { record: _record, replay: _replay, moved: _moved, replayBeside: _beside, ...counting } = openCounting(kind);
  const contents = new Map();
  const work = await prepare({
    ...counting,
    capabilities: { ...counting.capabilities, dtype },
    write(storage, data) {
      if (data instanceof Int32Array) contents.set(storage, data.slice());
      counting.write(storage, data);
    },
    run(kernel, args) {
      calls.push({ kernel, args, contents, ...kernelCost(kernel, args) });
    },
  });
  calls.length = 0;
  await work();
  return calls;
};

/**
 * The calls of a training step.
 * @param {import("../../dist/config/config.js").RunConfig} config
 * @param {number} vocabSize
 * @param {Kind} [kind]
 */
export const recordStep = (config, vocabSize, kind) =>
  record(async (backend) => {
    const trainer = undrawnTrainer(backend, config, vocabSize, randomTokens(4 * config.model.contextLength, vocabSize));
    return () => trainer.step(0);
  }, kind);

/**
 * The calls that generate one token after half a context, with a KV cache.
 * @param {import("../../dist/models/config.js").ModelConfig} model
 * @param {number} vocabSize
 * @param {Kind} [kind]
 */
export const recordDecoding = (model, vocabSize, kind) =>
  record(async (backend) => {
    const made = createModel(backend, model, vocabSize);
    const room = createRoom(made, 1);
    const prompt = [...randomTokens(model.contextLength / 2, vocabSize)];
    const sequence = openSequence(room, { model: made, prompt, maxNewTokens: 2, choose: () => null });
    if (sequence === null) throw new Error("the key-value cache must have pages for one context");
    const compute = async () => {
      const piece = sequence.piece(prompt.length);
      await room.passesFor(made).run([piece]);
      sequence.done(piece);
    };
    await compute();
    sequence.append(0);
    return compute;
  }, kind);

/** Floating-point operations of the products in a step, and bytes of all its kernels. */
export const stepCost = async (name, vocabSize) => {
  const calls = await recordStep(runConfig(name), vocabSize);
  const sum = (of) => calls.reduce((total, call) => total + of(call), 0);
  return { flops: sum(({ flops }) => flops), bytes: sum(({ read, written }) => read + written) };
};

/** Whether an argument is a key of random numbers. Times do not depend on these keys. */
const isWord = (name) => /^(key\d|site)$/u.test(name);

/**
 * Groups equal calls, each with its count.
 * @param {readonly Call[]} calls
 */
export const distinct = (calls) => {
  /** @type {Map<string, Call & { count: number, shape: string }>} */
  const found = new Map();
  for (const call of calls) {
    const { buffers, ints } = kernelPlans[call.kernel];
    const sizes = ints.filter((name) => !isWord(name)).map((name) => `${name} ${call.args[name]}`);
    const absent = buffers.filter(([name]) => call.args[name] == null).map(([name]) => `no ${name}`);
    const narrow = buffers
      .map(([name]) => ({ name, view: /** @type {any} */ (call.args[name]) }))
      .filter(({ view }) => view?.storage.dtype === "bfloat16")
      .map(({ name }) => `bfloat16 ${name}`);
    const shape = [...sizes, ...absent, ...narrow].join(" ");
    const key = `${call.kernel} ${shape}`;
    const known = found.get(key);
    if (known === undefined) found.set(key, { ...call, shape, count: 1 });
    else known.count++;
  }
  return [...found.values()];
};

/**
 * Numbers in [-1, 1) for the contents of memory. No number is subnormal, because arithmetic with subnormal numbers is
 * slow.
 */
const noise = Float32Array.from(
  { length: 2 ** 16 },
  (_, i) => ((Math.imul(i + 1, 2_654_435_761) >>> 0) / 2 ** 31 || 1) - 1,
);

/** @param {import("../../dist/backend/backend.js").Backend} backend */
const fillWithNoise = (backend, storage) => {
  for (let at = 0; at < storage.length; at += noise.length) {
    backend.write(storage, noise.subarray(0, Math.min(noise.length, storage.length - at)), at);
  }
};

/** Elements of a cache line. Each offset keeps its place within a cache line. */
const lineElements = 16;

/**
 * Prepares a recorded call on a real backend. Buffers share a storage if they shared a storage in the recorded call. A
 * storage may be larger than a call needs, such as the array of all weights. Only the part that this call uses is
 * allocated.
 * @param {import("../../dist/backend/backend.js").Backend} backend
 * @param {Call} call
 */
export const replay = (backend, { kernel, args, contents }) => {
  const { buffers, lengths } = kernelPlans[kernel];
  const needed = lengths(/** @type {Readonly<Record<string, number>>} */ (args));
  const views = buffers.flatMap(([name]) => {
    const view = /** @type {import("../../dist/backend/backend.js").View | null | undefined} */ (args[name]);
    return view == null ? [] : [{ name, ...view, end: view.offset + needed[name] }];
  });
  const made = new Map();
  let bytes = 0;
  for (const { storage } of views) {
    if (made.has(storage)) continue;
    const parts = views.filter((view) => view.storage === storage);
    const first = Math.min(...parts.map(({ offset }) => offset));
    const start = first - (first % lineElements);
    const length = Math.max(...parts.map(({ end }) => end)) - start;
    const copy = backend.alloc(storage.dtype, length);
    bytes += length * bytesPerElement[storage.dtype];
    const ids = contents.get(storage);
    if (storage.dtype !== "int32") fillWithNoise(backend, copy);
    else if (ids !== undefined) backend.write(copy, ids.subarray(start, start + length));
    made.set(storage, { copy, start });
  }
  const placed = Object.fromEntries(
    views.map(({ name, storage, offset }) => {
      const { copy, start } = made.get(storage);
      return [name, { storage: copy, offset: offset - start }];
    }),
  );
  const replayed = /** @type {never} */ ({ ...args, ...placed });
  return {
    bytes,
    run: () => backend.run(kernel, replayed),
    free() {
      for (const { copy } of made.values()) backend.free(copy);
    },
  };
};
