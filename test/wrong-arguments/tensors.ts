/** Random numbers, backends and their kernels, contexts, gradients and the optimizer. */
import * as foretoken from "#foretoken/index.js";
import { type Case, isNotHuge, openAndClose, optionCases } from "./case.ts";
import type { Setup } from "./setup.ts";

const randomCases: readonly Case[] = [
  { name: "randomKey", args: () => [1, "init", 0], call: foretoken.randomKey },
  { name: "randomStream", args: () => [foretoken.randomKey(1, "init"), 0], call: foretoken.randomStream },
  { name: "dropoutSource", args: () => [foretoken.randomKey(1, "dropout")], call: foretoken.dropoutSource },
];

const backendCases = (setup: Setup): readonly Case[] => [
  {
    name: "openBackend",
    args: () => ["reference", { threads: 1 }],
    call: openAndClose(foretoken.openBackend),
  },
  ...(["reference", "wasm"] as const).flatMap((choice) =>
    optionCases(
      `openBackend ${choice}`,
      ["threads", "dtype", "instructionSet"],
      openAndClose((wrong) => foretoken.openBackend(choice, { threads: 1, ...wrong })),
    ),
  ),
  { name: "describeBackends", args: () => [undefined], call: foretoken.describeBackends },
  {
    name: "Backend.alloc",
    args: () => ["float32", 4],
    call: (dtype, length) => setup.backend.alloc(dtype, length),
    allows: isNotHuge,
  },
  {
    name: "Backend.free",
    args: () => [setup.backend.alloc("float32", 4)],
    call: (storage) => setup.backend.free(storage),
  },
  {
    name: "Backend.write",
    args: () => [setup.backend.alloc("float32", 4), new Float32Array(4), 0],
    call: (storage, values, offset) => setup.backend.write(storage, values, offset),
  },
  {
    name: "Backend.read",
    args: () => [setup.backend.alloc("float32", 4), 0, 4],
    call: (storage, offset, length) => setup.backend.read(storage, offset, length),
  },
  {
    name: "Backend.run",
    args: () => ["fill", { y: { storage: setup.backend.alloc("float32", 4), offset: 0 }, n: 4, value: 0 }],
    call: (kernel, args) => setup.backend.run(kernel, args),
  },
  ...optionCases("Backend.run", ["y", "n", "value"], (wrong) =>
    setup.backend.run("fill", {
      ...{ y: { storage: setup.backend.alloc("float32", 4), offset: 0 }, n: 4, value: 0 },
      ...wrong,
    }),
  ).map((one) => ({ ...one, isOpen: true })),
];

const instead = (own: unknown, given: unknown): never => (given === "own" ? own : given) as never;

const tensorCases = (setup: Setup): readonly Case[] => {
  /** A new context for each call, with a result that was computed in this context. */
  const inContext =
    (work: (context: foretoken.TrainingContext, logits: foretoken.Tensor, ...args: never[]) => unknown) =>
    async (...args: never[]): Promise<unknown> => {
      const gradients = foretoken.createGradients(setup.lm.model);
      try {
        return await gradients.record((context) =>
          work(context, foretoken.forward(context, setup.lm.model, [0, 1], 1, 2), ...args),
        );
      } finally {
        gradients.close();
      }
    };

  return [
    { name: "inferenceContext", args: () => [setup.backend], call: foretoken.inferenceContext },
    {
      name: "withContext",
      args: () => [foretoken.inferenceContext(setup.backend), () => 1],
      call: foretoken.withContext,
    },
    { name: "readTensor", args: () => [setup.backend, setup.logits], call: foretoken.readTensor },
    {
      name: "readScalar",
      args: () => ["own"],
      call: inContext((context, logits, tensor) =>
        foretoken.readScalar(
          setup.backend,
          instead(foretoken.crossEntropyLoss(context, logits, new Int32Array(2)), tensor),
        ),
      ),
    },
    {
      name: "crossEntropyLoss",
      args: () => [setup.context, setup.logits, new Int32Array(2)],
      call: foretoken.crossEntropyLoss,
    },
    {
      name: "backward",
      args: () => ["own", "own", 1],
      call: inContext((context, logits, given, total, scale) =>
        foretoken.backward(
          instead(context, given),
          instead(foretoken.crossEntropyLoss(context, logits, new Int32Array(2)), total),
          scale,
        ),
      ),
    },
    { name: "forward", args: () => [setup.context, setup.lm.model, [0, 1], 1, 2], call: foretoken.forward },
    {
      name: "forwardLoss",
      args: () => [setup.context, setup.lm.model, [0, 1], new Int32Array(2), 1, 2],
      call: foretoken.forwardLoss,
    },
  ];
};

const gradientCases = (setup: Setup): readonly Case[] => [
  { name: "createGradients", args: () => [setup.lm.model], call: openAndClose(foretoken.createGradients) },
  {
    name: "Gradients.record",
    args: () => [() => 1],
    call: async (work) => {
      const gradients = foretoken.createGradients(setup.lm.model);
      try {
        return await gradients.record(work);
      } finally {
        gradients.close();
      }
    },
  },
  {
    name: "createOptimizer",
    args: () => [setup.backend, setup.lm.model.layout, { kind: "adam" }],
    call: openAndClose(foretoken.createOptimizer),
  },
  {
    name: "Optimizer.update",
    args: () => [undefined],
    call: (update) => {
      const { optimizer: config } = foretoken.presets.book.train;
      const optimizer = foretoken.createOptimizer(setup.backend, setup.lm.model.layout, config);
      try {
        optimizer.update(update);
      } finally {
        optimizer.close();
      }
    },
  },
];

/** All functions from random numbers to an optimizer's update. */
export const tensorsCases = (setup: Setup): readonly Case[] => [
  ...randomCases,
  ...backendCases(setup),
  ...tensorCases(setup),
  ...gradientCases(setup),
];
