/**
 * A process for one of the programs that ../engine.mjs compares. It loads a model. Then it generates the number of
 * texts that the parent process requests, all at once.
 *
 *     node bench/peers/many-texts.mjs '{"program":"foretoken","model":FILE,"dtype":"bfloat16","threads":2,"streams":16, …}'
 */
import { createSequenceEngine } from "../../dist/engine/engine.js";
import { createChain } from "../../dist/generate/sampling/chain.js";
import { plainSampling } from "../../dist/generate/sampling/settings.js";
import { loadPretrained } from "../../dist/pretrained/load.node.js";

const { program, model: path, dtype, threads, promptTokens, newTokens, streams } = JSON.parse(process.argv[2]);

/** Token ids below `vocabSize`, different for each text of each round, so that no prompt is cached. */
const promptOf = (round, text, vocabSize) =>
  Array.from({ length: promptTokens }, (_, i) => (100 + (i * 7919 + text * 104_729 + round * 1_299_709)) % vocabSize);

/**
 * A program with a model. `write` resolves when its text is complete.
 * @typedef {{ about: string, vocabSize: number, close(): Promise<void>, write(ids: number[], text: number, sampling: string): Promise<void> }} Program
 */

/** @returns {Promise<Program>} */
const openOurs = async () => {
  const lm = await loadPretrained(path, { backend: "native", threads, dtype });
  const { model } = lm;
  const engine = createSequenceEngine(model, { cacheBytes: 2 ** 30, maxSequences: streams });
  const { vocabSize } = lm.tokenizer.kind === "none" ? model : lm.tokenizer;
  return {
    about: model.backend.capabilities.instructionSet,
    vocabSize,
    async close() {
      await engine.close();
      await lm.close();
    },
    async write(prompt, text, sampling) {
      const settings = sampling === "greedy" ? { temperature: 0 } : { temperature: 0.8, topK: 40 };
      const chain = createChain({ sampling: { ...plainSampling, ...settings }, seed: text }, prompt);
      const choose = (logits) => chain.next(logits.subarray(0, vocabSize));
      await engine.write({ model, prompt, maxNewTokens: newTokens, choose }).ended;
    },
  };
};

/** @returns {Promise<Program>} */
const openTheirs = async () => {
  const { getLlama } = await import(
    new URL("../peers-llama/node_modules/node-llama-cpp/dist/index.js", import.meta.url).href
  );
  let about = "";
  const logger = (_, message) => {
    const loaded = /loaded CPU backend from \S*\/libggml-(\S+)\.so/u.exec(message)?.[1];
    if (loaded !== undefined) about = loaded;
  };
  const llama = await getLlama({ build: "never", gpu: false, maxThreads: threads, logLevel: "debug", logger });
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext({
    sequences: streams,
    contextSize: promptTokens + newTokens,
    batchSize: 512,
    threads: { ideal: threads, min: threads },
  });
  const sequences = Array.from({ length: streams }, () => context.getSequence());
  return {
    about,
    vocabSize: 49_152,
    close: () => llama.dispose(),
    async write(prompt, text, sampling) {
      const sequence = sequences[text];
      await sequence.clearHistory();
      const settings =
        sampling === "greedy" ? { temperature: 0 } : { temperature: 0.8, topK: 40, topP: 1, minP: 0, seed: text };
      let written = 0;
      for await (const _ of sequence.evaluate(prompt, { ...settings, yieldEogToken: true })) {
        if (++written === newTokens) break;
      }
    },
  };
};

const opened = program === "foretoken" ? await openOurs() : await openTheirs();
process.send({ about: opened.about });
process.on("message", async (message) => {
  const asked = /** @type {"end" | { streams: number, round: number, sampling: string }} */ (message);
  if (asked === "end") {
    await opened.close();
    process.send({});
    process.disconnect();
    return;
  }
  const texts = Array.from({ length: asked.streams }, (_, text) => text);
  const began = performance.now();
  await Promise.all(
    texts.map((text) => opened.write(promptOf(asked.round, text, opened.vocabSize), text, asked.sampling)),
  );
  process.send({ seconds: (performance.now() - began) / 1000 });
});
