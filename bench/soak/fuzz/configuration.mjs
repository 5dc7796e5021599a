/** Makes configurations: JSON files for `--config`, and objects for the library's `train`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { findAuto } from "../../../dist/backend/select.node.js";
import { train } from "../../../dist/train/train.node.js";
import { failure, judged, judgedProgram } from "../lib/judge.mjs";
import { runInProcess } from "../lib/program.mjs";
import { configFlags, smallConfig, wordsText } from "../lib/small-run.mjs";
import { damagedBytes, damagedEncoding, damagedJson, hostileJson, hostileWord } from "./hostile-values.mjs";

/** Complete values for fields that have several shapes. A fault replaces one value by another. */
const kinds = {
  "model.position": [
    { kind: "learned" },
    { kind: "rope" },
    { kind: "rope", theta: 2 },
    { kind: "alibi" },
    { kind: 1 },
    {},
  ],
  "model.norm": [
    { kind: "layernorm" },
    { kind: "rmsnorm", eps: 1e-46 },
    { kind: "rmsnorm", eps: 1 },
    { kind: "" },
    null,
  ],
  "model.mlp": [
    ...[
      { kind: "gelu" },
      { kind: "gelu", approximate: "tanh", ratio: 1 },
      { kind: "gelu", hidden: 4 },
      { kind: "swiglu" },
    ],
    ...[{ kind: "swiglu", hidden: 3 }, { kind: "swiglu", hidden: 1e9 }, { kind: "gelu", ratio: 1e9 }, []],
    ...[{ kind: "geglu", hidden: 3 }, { kind: "geglu", ratio: 2 }, { kind: "relu2" }, { kind: "relu2", ratio: 0 }],
  ],
  "model.window": [
    ...[{ size: 4 }, { size: 1, theta: 2 }, { size: 3, fullEvery: 2 }, { size: 0 }, { fullEvery: 2 }],
    ...[{ size: 2 ** 21 }, { size: 2, theta: 1 }, { size: 2, fullEvery: 1 }, { size: 1.5 }, [], null, 4],
  ],
  "model.normPlacement": ["before", "after", "both", "behind", 1, null],
  "train.schedule": [
    ...[
      { kind: "constant" },
      { kind: "cosine" },
      { kind: "cosine", minLearningRate: 1e300 },
      { kind: "linear", minLearningRate: 0 },
    ],
    ...[{ kind: "linear", minLearningRate: -1 }, { kind: "step" }],
  ],
  "train.optimizer": [
    ...[{ kind: "adam" }, { kind: "adamw", eps: 1e-46 }, { kind: "adamw", weightDecay: 1e38 }, { kind: "muon" }],
    ...[{ kind: "muon", momentum: 0.5, adamLearningRateRatio: 1e30 }, { kind: "sgd" }, { kind: "adam", beta1: 1 }],
  ],
};

/**
 * Numbers for a field: small and valid, out of range, or too large for any machine. Large valid numbers are not used,
 * because the run would take too long.
 */
const numbers = {
  "model.contextLength": [1, 2, 16, 0, -1, 1.5, 2 ** 20 + 1, 2 ** 53, 1e300],
  "model.nLayer": [1, 2, 3, 0, -1, 0.5, 10_001, 1e9],
  "model.nHead": [1, 4, 2, 3, 0, -2, 2 ** 16 + 1, 1e18],
  "model.nEmbd": [4, 12, 2, 8, 7, 0, -8, 2 ** 16 + 2, 2 ** 31, 2 ** 53],
  "model.attentionScale": [0.5, 1, 1e-46, 1e38, 0, -1, 1e300],
  "model.embeddingScale": [2, 1, 1e-46, 1e300, 0, -1],
  "model.dropout": [0, 0.5, 0.999999, 1, -0.1, 1e-46, 2],
  "model.initStd": [0.02, 0.2, 1e-46, 1e38, 1e300, 5e-324, 0, -1],
  "train.steps": [1, 2, 1e15, 0, -1, 1.5, 2 ** 53 + 2],
  "train.batchSize": [1, 3, 0, -1, 2.5, 2 ** 45, 2 ** 53],
  "train.gradAccumSteps": [1, 3, 0, -1, 0.1],
  "train.learningRate": [1e-3, 1e-5, 1e-46, 5e-324, 1e38, 1e300, 0, -1],
  "train.warmupSteps": [0, 1, 1e15, -1, 0.5],
  "train.maxGradNorm": [0, 3, 1e-46, 1e300, -1, 5e-324],
  "train.seed": [0, 1, 2 ** 32, 2 ** 53 - 1, -1, 0.5, 2 ** 53 + 2],
  "train.evalInterval": [1, 1e15, 0, -1],
  "train.checkpointInterval": [1, 1e15, 0, 1.5],
  "train.patience": [0, 1, 1e15, -1],
  "train.sampleTokens": [0, 1, 3, -1, 1.5],
};

const setAt = (config, path, value) => {
  const keys = path.split(".");
  const last = /** @type {string} */ (keys.pop());
  let node = config;
  for (const key of keys) node = node[key];
  node[last] = value;
};

/**
 * Changes a configuration by faults. A quarter of the configurations get one valid value instead: the first two values
 * of each list in `numbers` are valid.
 */
const swapped = (random) => {
  const config = structuredClone(smallConfig);
  if (random.chance(0.25)) {
    const path = random.pick(Object.keys(numbers));
    setAt(config, path, random.pick(numbers[path].slice(0, 2)));
    return config;
  }
  for (let changes = random.between(1, 3); changes > 0; changes--) {
    const table = random.chance(0.4) ? kinds : numbers;
    const path = random.pick(Object.keys(table));
    setAt(config, path, structuredClone(random.pick(table[path])));
  }
  return config;
};

/** Values that JSON cannot express. */
const unspeakable = (random) =>
  random.pick([
    ...[undefined, Number.NaN, Number.POSITIVE_INFINITY, 10n, Symbol("x"), () => 1, new Date(0), new Map(), /x/u],
    ...[new Float32Array(3), Object.create(null), [], new Array(1e6), new Proxy({}, {}), "x".repeat(1e6)],
  ]);

const forLibrary = (random) => {
  const config = swapped(random);
  const kind = random.below(5);
  if (kind === 0) setAt(config, random.pick(Object.keys(random.pick([kinds, numbers]))), unspeakable(random));
  if (kind === 1) config[hostileWord(random)] = unspeakable(random);
  if (kind === 2) config.model[hostileWord(random)] = unspeakable(random);
  if (kind === 3) config.train["k".repeat(random.pick([10, 1000, 1_000_000]))] = 1;
  if (kind === 4) {
    // A circular reference, or a property with a getter.
    if (random.chance(0.5)) /** @type {any} */ (config.train).schedule = config;
    else
      Object.defineProperty(config.model, "nLayer", {
        enumerable: true,
        get() {
          return random;
        },
      });
  }
  return config;
};

/** @returns {Buffer} */
const fileOf = (random) => {
  switch (random.below(6)) {
    case 0:
      return Buffer.from(JSON.stringify(swapped(random)));
    case 1:
      return damagedEncoding(random, JSON.stringify(swapped(random)));
    case 2:
      return Buffer.from(hostileJson(random, 3));
    case 3:
      return damagedBytes(random, Buffer.from(JSON.stringify({ preset: "book", ...smallConfig })));
    default:
      return damagedEncoding(random, damagedJson(random, { preset: "book", ...smallConfig }));
  }
};

export const create = async (place) => {
  const data = join(place, "text.txt");
  writeFileSync(data, wordsText("configuration", 120));
  const { name: backend } = await findAuto();

  const program = async (folder, bytes) => {
    const path = join(folder, "config.json");
    writeFileSync(path, bytes);
    // A billion epochs or tokens are valid, but would take too long.
    const short = configFlags({ train: { gradAccumSteps: 1, sampleTokens: 0 } });
    const args = [
      "train",
      "--preset",
      "book",
      "--config",
      path,
      "--data",
      data,
      "--out",
      join(folder, "run"),
      ...short,
    ];
    const outcome = await runInProcess([...args, "--stop-at", "1", "--backend", backend, "--threads", "1"], folder);
    return { ...judgedProgram(outcome), bytes: bytes.length, what: args.join(" ") };
  };

  const library = async (random, config) => {
    const options = {
      preset: "book",
      config,
      data,
      out: null,
      stopAt: 1,
      threads: 1,
      backend,
      finalSampleTokens: 0,
    };
    if (random.chance(0.1))
      options[random.pick([...Object.keys(options), hostileWord(random, 1000)])] = unspeakable(random);
    // Only these texts and folders are used, and the run ends early.
    if (typeof options.out === "string") options.out = null;
    options.stopAt = typeof options.stopAt === "number" || options.stopAt === undefined ? 1 : options.stopAt;
    const outcome = await judged(async () => {
      for await (const event of train(/** @type {any} */ (options))) if (event.type === "step") break;
    });
    return { ...outcome, what: "train() of the library" };
  };

  return {
    undamaged: async (folder) => {
      // If a fault removes a field, the unchanged preset's field is used.
      const { failure: failed, refused } = await program(folder, Buffer.from("{}"));
      if (failed !== undefined || refused) throw new Error(`the undamaged configuration fails: ${failed?.detail}`);
    },
    run: async (random, folder, note) => {
      let outcome;
      if (random.chance(0.6)) {
        const bytes = fileOf(random);
        await note(`--config with ${bytes.subarray(0, 300).toString()}`);
        outcome = await program(folder, bytes);
      } else {
        const config = forLibrary(random);
        await note(
          `train() with ${inspect(config, { depth: 4, maxStringLength: 40, maxArrayLength: 4, breakLength: 300 })}`,
        );
        outcome = await library(random, config);
      }
      if (/** @type {any} */ ({}).polluted === undefined) return outcome;
      Reflect.deleteProperty(Object.prototype, "polluted");
      return { ...outcome, failure: failure("Object.prototype is changed", "polluted") };
    },
  };
};
