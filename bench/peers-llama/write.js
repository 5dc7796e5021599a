/**
 * Generates a text from a GGUF file with node-llama-cpp, as in docs/guides/take-it-elsewhere.md:
 *
 *     npm install --prefix bench/peers-llama --ignore-scripts     (over a gigabyte, once)
 *     node bench/peers-llama/write.js FILE PROMPT [ADAPTER]
 */
import { getLlama, LlamaCompletion } from "node-llama-cpp";

const [modelPath, prompt, lora] = process.argv.slice(2);

const llama = await getLlama();
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({ lora });
const completion = new LlamaCompletion({ contextSequence: context.getSequence() });
console.log(await completion.generateCompletion(prompt, { maxTokens: 50, temperature: 0 }));
await llama.dispose();
