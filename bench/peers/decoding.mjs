/**
 * A process for one of the two programs that ../llama.mjs compares. The process loads a GGUF file, and reports the
 * first token to the parent process. Then it measures what the parent requests.
 *
 *     node bench/peers/decoding.mjs '{"program":"foretoken","model":FILE,"dtype":"bfloat16","threads":2}'
 */
import { createSequenceEngine } from "../../dist/engine/engine.js";
import { argmax } from "../../dist/generate/sampling/argmax.js";
import { loadPretrained } from "../../dist/pretrained/load.node.js";
import { peakMemory } from "../lib/peak-memory.mjs";

const { program, model: path, dtype, threads, promptTokens, newTokens } = JSON.parse(process.argv[2]);
const contextLength = promptTokens + newTokens;

/** Token ids that every vocabulary has, the same for both programs. */
const prompt = Array.from({ length: promptTokens }, (_, i) => 100 + ((i * 7919) % 30_000));
const short = prompt.slice(0, 16);

/**
 * A program with a model. `read` computes a prompt. `write` writes `count` + 1 tokens after a prompt, and resolves to the
 * milliseconds from the first of these tokens to the last.
 * @typedef {{ about: string, close(): Promise<void>, read(ids: number[]): Promise<void>,
 * write(ids: number[], count: number): Promise<number> }} Program
 */

/** @returns {Promise<Program>} */
const openOurs = async () => {
  const { model, close } = await loadPretrained(path, { backend: "native", threads, dtype });
  const { instructionSet } = model.backend.capabilities;
  const engineOf = () => createSequenceEngine(model, { cacheBytes: 1, maxSequences: 1 });
  // One engine writes all texts, as llama.cpp has one context.
  const writer = engineOf();
  return {
    about: instructionSet,
    async close() {
      await writer.close();
      await close();
    },
    async read(ids) {
      // A new engine, because an engine may still have the keys and values of its last text.
      const engine = engineOf();
      await engine.write({ model, prompt: ids, maxNewTokens: 1, choose: () => null }).ended;
      await engine.close();
    },
    async write(ids, count) {
      const times = [];
      const choose = (logits) => {
        const id = argmax(logits);
        times.push(performance.now());
        return times.length > count ? null : id;
      };
      await writer.write({ model, prompt: ids, maxNewTokens: count + 1, choose }).ended;
      return times[count] - times[0];
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
    contextSize: contextLength,
    batchSize: promptTokens,
    threads: { ideal: threads, min: threads },
  });
  const sequence = context.getSequence();
  return {
    about,
    close: () => llama.dispose(),
    async read(ids) {
      await sequence.clearHistory();
      await sequence.evaluateWithoutGeneratingNewTokens(ids);
    },
    async write(ids, count) {
      await sequence.clearHistory();
      const times = [];
      for await (const _ of sequence.evaluate(ids, { temperature: 0, yieldEogToken: true })) {
        times.push(performance.now());
        if (times.length > count) break;
      }
      return times[count] - times[0];
    },
  };
};

const opened = program === "foretoken" ? await openOurs() : await openTheirs();

/** Seconds per token of a text, without the first token. */
const writeSeconds = async (count) => (await opened.write(short, count)) / 1000 / count;
const readSeconds = async () => {
  const began = performance.now();
  await opened.read(prompt);
  return (performance.now() - began) / 1000;
};

await opened.write(short, 0);
process.send({ firstToken: true, about: opened.about });
process.on("message", async (asked) => {
  if (asked === "write") process.send({ seconds: await writeSeconds(newTokens) });
  else if (asked === "read") process.send({ seconds: await readSeconds() });
  else {
    process.send({ peakBytes: peakMemory() });
    await opened.close();
    process.disconnect();
  }
});
