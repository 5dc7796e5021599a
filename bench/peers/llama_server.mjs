/**
 * A minimal server with llama.cpp, for bench/serve.mjs. A request contains token ids. The answer is an event stream of
 * greedy tokens.
 *
 *     node bench/peers/llama_server.mjs '{"model":FILE,"threads":2,"streams":16,"contextSize":192}'
 */
import { createServer } from "node:http";

const { model: modelPath, threads, streams, contextSize } = JSON.parse(process.argv[2]);
const { getLlama } = await import(
  new URL("../peers-llama/node_modules/node-llama-cpp/dist/index.js", import.meta.url).href
);
const llama = await getLlama({ build: "never", gpu: false, maxThreads: threads, logLevel: "error" });
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({
  ...{ sequences: streams, contextSize, batchSize: 512 },
  threads: { ideal: threads, min: threads },
});
const free = Array.from({ length: streams }, () => context.getSequence());

const server = createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  const { prompt, max_tokens: most } = JSON.parse(body);
  const sequence = free.pop();
  if (sequence === undefined) {
    response.writeHead(429).end();
    return;
  }
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  await sequence.clearHistory();
  let written = 0;
  for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    const choices = [{ index: 0, text: model.detokenize([token]), logprobs: null, finish_reason: null }];
    response.write(`data: ${JSON.stringify({ object: "text_completion", choices })}\n\n`);
    if (++written === most) break;
  }
  const usage = { prompt_tokens: prompt.length, completion_tokens: written, total_tokens: prompt.length + written };
  response.end(`data: ${JSON.stringify({ object: "text_completion", choices: [], usage })}\n\ndata: [DONE]\n\n`);
  free.push(sequence);
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (typeof address === "object" && address !== null) console.log(`http://127.0.0.1:${address.port}`);
});
