// Trains, generates and evaluates from the page's own thread, while the page draws frames. Sends the results to the
// server.
import {
  CheckpointError,
  ConfigError,
  loadInWorker,
  train,
  UnsupportedKernelError,
} from "/foretoken/foretoken.browser.js";

const classes = { CheckpointError, ConfigError, UnsupportedKernelError };
const send = (result) => fetch("/result", { method: "POST", body: JSON.stringify(result) });

const hash = async (bytes) => {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
};

/** Counts the frames that are drawn while `work` runs, and measures the longest time between two frames. */
const framesDuring = async (work) => {
  let frames = 0;
  let longest = 0;
  let last = performance.now();
  let isOver = false;
  const draw = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    frames++;
    if (!isOver) requestAnimationFrame(draw);
  };
  requestAnimationFrame(draw);
  const result = await work();
  isOver = true;
  return { ...result, frames, longest };
};

/** The thrown error as an object for JSON. */
const thrownBy = async (work) => {
  try {
    for await (const _ of work()) {
      // Calls `work` until it throws.
    }
  } catch (error) {
    const { name, message } = error;
    return { name, message, isOwnClass: classes[name] !== undefined && error instanceof classes[name] };
  }
  return undefined;
};

const same = async ({ text, preset, config, prompt, threads, constraint }) => {
  const events = [];
  let files;
  const onCheckpoint = async (saved, which) => {
    // Training waits for this callback.
    await new Promise((resolve) => setTimeout(resolve));
    if (which === "last") files = saved;
  };
  const options = { text, preset, config, prompt, threads, finalSampleTokens: 20, onCheckpoint };
  for await (const event of train(options)) events.push(event);
  const modelHash = await hash(files["model.safetensors"]);
  const written = [];
  const evaluations = [];
  const scores = [];
  let predicted = 0;
  for (const checkpoint of [files, "checkpoint/", new URL("/checkpoint", location.href)]) {
    const lm = await loadInWorker(checkpoint, { threads });
    let line = "";
    for await (const event of lm.generate({ prompt, maxNewTokens: 30 })) if (event.type === "token") line += event.text;
    written.push(line);
    evaluations.push(await lm.evaluate({ text, onProgress: (done) => (predicted = done) }));
    scores.push(await lm.score(text, { stride: 5 }));
    await lm.close();
  }
  const lm = await loadInWorker(files, { threads });
  let constrained;
  for await (const event of lm.generate({ prompt, constraint })) if (event.type === "done") constrained = event;
  const wrong = { kind: "regex", pattern: "(" };
  const refused = await thrownBy(() => lm.generate({ prompt, constraint: wrong }));
  const controller = new AbortController();
  let tokens = 0;
  let aborted = 0;
  let finishReason;
  for await (const event of lm.generate({ prompt, maxNewTokens: 100_000, signal: controller.signal })) {
    finishReason = event.finishReason;
    if (++tokens !== 3) continue;
    aborted = performance.now();
    controller.abort();
  }
  const abort = { finishReason, tokens, milliseconds: performance.now() - aborted };
  for await (const _ of lm.generate({ prompt, maxNewTokens: 100_000 })) break;
  await lm.close();
  const afterwards = await thrownBy(() => lm.generate({ prompt }));
  return { events, modelHash, written, constrained, refused, evaluations, scores, predicted, abort, afterwards };
};

/** A run with slow steps that is stopped in the middle of its second step. */
const responsive = ({ text, slow }) =>
  framesDuring(async () => {
    const controller = new AbortController();
    const steps = [];
    let last = performance.now();
    let reason;
    let aborted;
    const stop = () => {
      aborted = performance.now();
      controller.abort();
    };
    for await (const event of train({ text, ...slow, signal: controller.signal })) {
      if (event.type === "step") {
        if (steps.push(performance.now() - last) === 1) setTimeout(stop, steps[0] / 2);
      }
      last = performance.now();
      reason = event.reason;
    }
    return { steps, reason, untilDone: last - aborted };
  });

const mistakes = async ({ text, preset, config, threads }) => {
  const mine = new RangeError("mine");
  const options = { text, preset, config, threads };
  const throwing = () => {
    throw mine;
  };
  let own;
  try {
    for await (const _ of train({ ...options, onCheckpoint: throwing })) {
      // Trains until the run throws.
    }
  } catch (error) {
    own = error === mine;
  }
  return {
    own,
    unknown: await thrownBy(() => train({ ...options, txt: "a" })),
    uncloneable: await thrownBy(() => train({ ...options, config: { model: { nEmbd: () => 8 } } })),
    reason: await thrownBy(() => train({ ...options, signal: AbortSignal.abort(new Error("not today")) })),
    files: await thrownBy(async function* () {
      yield await loadInWorker({});
    }),
    missing: await thrownBy(async function* () {
      yield await loadInWorker("nowhere", { threads });
    }),
  };
};

/** This page cannot start a worker. */
const refused = async ({ text, preset, config }) => {
  const options = { text, preset, config: { ...config, train: { ...config.train, steps: 1 } }, backend: "reference" };
  const here = [];
  for await (const { type } of train({ ...options, worker: false, finalSampleTokens: 0 })) here.push(type);
  return {
    training: await thrownBy(() => train(options)),
    loading: await thrownBy(async function* () {
      yield await loadInWorker("checkpoint/", { backend: "reference" });
    }),
    here: here.at(-1),
  };
};

/** This page is not cross-origin isolated. */
const plain = async ({ text, preset, config }) => {
  const options = { text, preset, config, finalSampleTokens: 0 };
  let last;
  for await (const { type } of train({ ...options, backend: "reference", stopAt: 1 })) last = type;
  return { wasm: await thrownBy(() => train(options)), reference: last };
};

const main = async () => {
  const settings = await (await fetch("/settings.json")).json();
  if (settings.only === "refused") return refused(settings);
  if (settings.only === "plain") return plain(settings);
  const bits = await same(settings);
  return { bits, responsive: await responsive(settings), mistakes: await mistakes(settings) };
};

main().then(send, (error) => send({ error: String(error.stack) }));
