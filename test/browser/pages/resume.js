// Resumes the run that the browser has stored. If there is no such run, resumes the run from its server. Stores the
// run. The test closes and reloads the page.
import { openRunStore, runFromFolder, runToFolder, train } from "./foretoken/foretoken.browser.js";

const base64 = (bytes) => {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
};

const fetchRun = async () => {
  const { paths } = await (await fetch("/settings.json")).json();
  const files = {};
  for (const path of paths) files[path] = new Uint8Array(await (await fetch(`/run/${path}`)).arrayBuffer());
  return runFromFolder(files);
};

const report = { step: 0, first: 0, error: "" };
window.report = report;

const goOn = async (store, stopAt) => {
  const kept = (await store.read()) ?? (await fetchRun());
  const run = { ...kept };
  const onCheckpoint = async (files, which) => {
    run[which] = files;
    if (which === "last") await store.write(run);
  };
  for await (const event of train({ text: kept.text, resume: kept.last, stopAt, threads: 2, onCheckpoint })) {
    if (event.type === "start") report.first = event.step;
    if (event.type === "step") report.step = event.step;
  }
  return run;
};

/** Resolves when the stored run has reached the given step. */
window.reached = async (step) => {
  while (report.step < step) await new Promise(requestAnimationFrame);
};

const open = async () => {
  const store = await openRunStore("the run");
  window.goOn = async (stopAt) => {
    const folder = runToFolder(await goOn(store, stopAt));
    return Object.entries(folder).map(([path, bytes]) => [path, base64(bytes)]);
  };
};

window.ready = open().catch((error) => {
  report.error = error.message;
});
