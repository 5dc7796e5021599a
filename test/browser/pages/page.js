// Trains a model in a worker. Then generates text with the model on the page's own thread, and sends the results to the
// server.
import { generate, loadPretrained, openBackend } from "/foretoken/foretoken.browser.js";

const send = (result) => fetch("/result", { method: "POST", body: JSON.stringify(result) });

const inWorker = (settings) =>
  new Promise((resolve, reject) => {
    const worker = new Worker("/worker.js", { type: "module" });
    worker.onerror = ({ message }) => reject(new Error(`worker: ${message}`));
    worker.onmessage = ({ data }) => (data.error === undefined ? resolve(data) : reject(new Error(data.error)));
    worker.postMessage(settings);
  });

const write = async (checkpoint, { prompt, threads }) => {
  const lm = await loadPretrained(checkpoint, { threads });
  let written = "";
  for await (const event of generate(lm, { prompt, maxNewTokens: 30 }))
    if (event.type === "token") written += event.text;
  await lm.close();
  return written;
};

const hash = async (bytes) => {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
};

const main = async () => {
  const settings = await (await fetch("/settings.json")).json();
  if (settings.only === "open") {
    const refused = await openBackend("wasm", { threads: 2 }).catch((error) => ({
      name: error.name,
      message: error.message,
    }));
    const reference = await openBackend("reference");
    return { refused, reference: reference.name };
  }
  const { files, ...trained } = await inWorker(settings);
  if (settings.only === "train") return trained;
  return {
    ...trained,
    modelHash: await hash(files["model.safetensors"]),
    fromMemory: await write(files, settings),
    fromServer: await write(new URL("/checkpoint/", location.href), settings),
  };
};

main().then(send, (error) => send({ error: String(error.stack) }));
