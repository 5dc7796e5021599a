// Trains, evaluates and generates in a worker, as a page would.
import { evaluate, generate, loadPretrained, openBackend, train } from "/foretoken/foretoken.browser.js";

const work = async ({ text, preset, config, prompt, threads }) => {
  const backend = await openBackend("wasm", { threads });
  const events = [];
  let files;
  const onCheckpoint = (saved, which) => {
    if (which === "last") files = saved;
  };
  for await (const event of train({ text, preset, config, prompt, finalSampleTokens: 20, backend, onCheckpoint })) {
    events.push(event);
  }
  const lm = await loadPretrained(files, { backend });
  let written = "";
  for await (const event of generate(lm, { prompt, maxNewTokens: 30 }))
    if (event.type === "token") written += event.text;
  const evaluation = await evaluate(lm, { text });
  await lm.close();
  const bytesInUse = backend.bytesInUse();
  await backend.close();
  return { events, written, evaluation, bytesInUse, files };
};

addEventListener("message", async ({ data }) => {
  try {
    postMessage(await work(data));
  } catch (error) {
    postMessage({ error: String(error.stack) });
  }
});
