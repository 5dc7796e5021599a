/** Runs of 0.1 to 124 million parameters. The memory of these runs is compared with the estimate. */
import { presets } from "../../dist/config/presets.js";
import { runConfig } from "./configs.mjs";

/** Two steps, each with an evaluation, and a sample and a checkpoint. These include every kind of work in a run. */
const plan = { steps: 2, evalInterval: 1, checkpointInterval: 1, sampleTokens: 20 };

/**
 * @param {{ readonly model: object, readonly train: object }} base
 * @param {object} [model]
 * @param {object} [train]
 */
const changed = (base, model = {}, train = {}) => ({
  model: { ...base.model, ...model },
  train: { ...base.train, ...plan, ...train },
});

const { book, quick, shakespeare } = presets;
const small = { contextLength: 32, nLayer: 2, nHead: 2, nEmbd: 64 };

/**
 * `characters`: number of different characters in the text; `text`: its length; `valFraction`: the held-out fraction of
 * the text (default: a tenth).
 */
export const memoryConfigs = {
  tiny: { config: changed(quick, small, { batchSize: 8 }), characters: 65, text: 200_000 },
  "nano-cpu": { config: changed(runConfig("nano-cpu")), characters: 65, text: 200_000 },
  quick: { config: changed(quick), characters: 65, text: 200_000 },
  book: { config: changed(book), characters: 65, text: 200_000 },
  shakespeare: { config: changed(shakespeare), characters: 65, text: 200_000 },
  wide: {
    config: changed(shakespeare, {
      contextLength: 128,
      nLayer: 2,
      nHead: 8,
      nEmbd: 512,
      mlp: { kind: "swiglu", hidden: 1024 },
    }),
    characters: 65,
    text: 100_000,
  },
  baby: { config: changed(runConfig("baby"), {}, { batchSize: 20 }), characters: 65, text: 20_000 },
  gpt2: { config: changed(runConfig("gpt2")), characters: 50_257, text: 60_000 },
  "large-text": {
    config: changed(quick, small, { batchSize: 8 }),
    characters: 65,
    text: 110_000_000,
    valFraction: 0.001,
  },
  "large-batch": {
    config: changed(
      quick,
      { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 16 },
      { batchSize: 50_000, gradAccumSteps: 2, steps: 1 },
    ),
    characters: 65,
    text: 100_000,
  },
};

/**
 * Random words and lines with exactly this number of different characters, all from the Basic Multilingual Plane.
 * Yields pieces of text.
 */
export function* textOf(length, characters) {
  const distinct = [...Array.from({ length: 95 }, (_, i) => 32 + i), 10];
  // Letters and signs beyond ASCII, without surrogates.
  for (let code = 0xa1; distinct.length < characters; code++) if (code < 0xd800 || code > 0xdfff) distinct.push(code);
  const used = distinct.slice(-characters).map((code) => String.fromCharCode(code));
  const piece = 100_000;
  let state = 1;
  for (let done = 0; done < length; done += piece) {
    let text = "";
    for (let i = done; i < Math.min(length, done + piece); i++) {
      // First each character once, then random characters. The random characters come from a linear congruential
      // generator with the constants of Numerical Recipes.
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      text += used[i < characters ? i : Math.floor((state / 2 ** 32) * characters)];
    }
    yield text;
  }
}
