/**
 * The kernels that a step calls, with their arguments: found by taking one on a backend that only counts, so that what is
 * measured is always what a model does.
 */
import { openCounting } from "../../dist/backend/counting.js";
import { kernelCost } from "../../dist/backend/kernel-cost.js";
import { undrawnTrainer } from "../../dist/train/trainer.js";
import { runConfig } from "./configs.mjs";

/** Runs `work` on a counting backend; returns every call in order: kernel, arguments, cost. */
export const record = async (work) => {
  const calls = [];
  const counting = openCounting();
  /** What index storages were last given: ids must be in range. */
  const contents = new Map();
  await work({
    ...counting,
    write(storage, data) {
      if (storage.dtype === "int32") contents.set(storage, Int32Array.from(data));
      counting.write(storage, data);
    },
    run(kernel, args) {
      calls.push({ kernel, args, contents, ...kernelCost(kernel, args) });
    },
  });
  return calls;
};

/** The calls of a training step of a configuration by name. */
export const recordStep = (name, vocabSize, config = runConfig(name)) =>
  record(async (backend) => {
    const trainer = undrawnTrainer(backend, config, vocabSize, new Int32Array(config.model.contextLength + 1));
    await trainer.step(0);
    trainer.close();
  });

/** Arithmetic of products and bytes of all kernels in a step. */
export const stepCost = async (name, vocabSize) => {
  const calls = await recordStep(name, vocabSize);
  const sum = (of) => calls.reduce((total, call) => total + of(call), 0);
  return { flops: sum(({ flops }) => flops), bytes: sum(({ bytes }) => bytes) };
};
