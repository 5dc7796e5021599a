/**
 * Measures the studio's page in headless Chromium, with a real studio. The figures are the loaded bytes, the time to
 * the first view, and the time to redraw a run with 100,000 steps. The script also measures how far elements move
 * during a run.
 *
 *     node bench/studio.mjs [--runs 200] [--steps 100000] [--rounds 30]
 *
 * The time of a redraw is the busy time of the page's main thread: the script that handles the event, and the frame
 * with script, layout and paint.
 */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import { startStudio } from "../dist/serve/studio/start.js";
import { root } from "../scripts/build/common.mjs";
import { findChromium } from "../scripts/find-chromium.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { wholeNumber } from "./lib/options.mjs";
import { median, textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "200" },
    steps: { type: "string", default: "100000" },
    rounds: { type: "string", default: "30" },
  },
});
const runs = wholeNumber("runs", values.runs);
const steps = wholeNumber("steps", values.steps);
const rounds = wholeNumber("rounds", values.rounds);

const folder = await mkdtemp(join(tmpdir(), "foretoken-bench-studio-"));
const runsFolder = join(folder, "runs");
const studio = await startStudio({ folder: runsFolder, port: 0, threads: 1 });
const origin = new URL(studio.url).origin;

const api = async (path, body) => {
  const headers = { "Content-Type": "application/json", Origin: origin };
  const init = body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) };
  const response = await fetch(`${origin}/api/v1/${path}`, init);
  const answer = await response.json();
  if (!response.ok) throw new Error(`${path}: ${answer.error}`);
  return answer;
};

const text = { kind: "given", name: "cat.txt", text: "The cat sat on a mat.\nSo it sat.\n".repeat(60) };
const small = { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8 };
const start = (name, train) => api("runs", { text, name, preset: "quick", config: { model: small, train } });

/** Log of a long run: a falling loss with noise and a few extremes. */
const longNotes = () => {
  const lines = [];
  for (let step = 1; step <= steps; step++) {
    const noise = Math.sin(step * 12.9898) * 43758.5453;
    const loss =
      1.2 + 3 * Math.exp(-step / (steps / 8)) + 0.3 * (noise - Math.floor(noise)) + (step % 9973 === 0 ? 2 : 0);
    const event = { v: 1, type: "step", step, loss, learningRate: 0.001, gradNorm: loss / 2, tokensPerSecond: 1e5 };
    lines.push(JSON.stringify(event));
  }
  return `${lines.join("\n")}\n`;
};

const untilEnded = async (name) => {
  for (;;) {
    const { runs: list } = await api("runs");
    if (list.some((run) => run.name === name && run.owner === null)) return;
    await new Promise((done) => setTimeout(done, 100));
  }
};

/**
 * This function is executed in the page. The function measures the time of an action itself, and of the longest of the
 * next three frames. One of these frames shows the effect of the action.
 */
const frameTime = `async (act) => {
  const frame = () => new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    requestAnimationFrame(() => {
      const begun = performance.now();
      // Answered when the frame is painted.
      port1.onmessage = () => resolve(performance.now() - begun);
      port2.postMessage(0);
    });
  });
  const begun = performance.now();
  const first = frame();
  act();
  const acted = performance.now() - begun;
  return acted + Math.max(await first, await frame(), await frame());
}`;

/**
 * This function is executed in the page. The function records each layout shift: the element that moved, and its old
 * and new position.
 */
const watchShifts = `
  globalThis.shifts = [];
  const named = (node) => node === null ? "(removed)" : node.parentElement === null ? node.nodeName : [node.parentElement, node]
    .map((one) => one.nodeName.toLowerCase() + [...(one.classList ?? [])].map((name) => "." + name).join("")).join(" > ");
  const placed = ({ x, y, width, height }) => [x, y, width, height].map(Math.round).join(" ");
  new PerformanceObserver((list) => {
    for (const { value, startTime, sources } of list.getEntries()) {
      const moved = sources.map(({ node, previousRect, currentRect }) =>
        named(node) + " from " + placed(previousRect) + " to " + placed(currentRect));
      globalThis.shifts.push({ value, startTime, moved });
    }
  }).observe({ type: "layout-shift", buffered: true });
`;

const bytesOf = async (at) => {
  const files = await readdir(at, { recursive: true, withFileTypes: true });
  const sizes = { js: 0, all: 0 };
  for (const file of files.filter((entry) => entry.isFile())) {
    const size = gzipSync(await readFile(join(file.parentPath ?? file.path, file.name)), { level: 9 }).length;
    sizes.all += size;
    if (file.name.endsWith(".js")) sizes.js += size;
  }
  return sizes;
};

const browser = await chromium.launch({ executablePath: findChromium(), args: ["--no-sandbox"] });
try {
  await start("short", { steps: 8, batchSize: 2, evalInterval: 4, checkpointInterval: 8 });
  await untilEnded("short");
  for (let i = 1; i < runs; i++)
    await cp(join(runsFolder, "short"), join(runsFolder, `copy-${i}`), { recursive: true });
  const long = join(runsFolder, "long");
  await cp(join(runsFolder, "short"), long, { recursive: true });
  const notes = (await readFile(join(long, "metrics.jsonl"), "utf8")).split("\n")[0];
  await writeFile(join(long, "metrics.jsonl"), `${notes}\n${longNotes()}`);

  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const firstViews = [];
  for (let i = 0; i < 5; i++) {
    const begun = performance.now();
    await page.goto(`${origin}/runs`);
    await page.locator("table.runs tbody tr").first().waitFor();
    firstViews.push(performance.now() - begun);
  }
  const paint = await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime");

  const begun = performance.now();
  await page.goto(`${origin}/runs/long`);
  await page.waitForFunction(
    (last) => document.querySelector(".chart-340")?.getAttribute("aria-valuemax") === String(last),
    steps,
  );
  await page.locator(".chart-340 canvas").waitFor();
  const longView = performance.now() - begun;
  const redraws = async (act) => {
    const times = [];
    for (let i = 0; i < rounds; i++) times.push(await page.evaluate(`(${frameTime})(() => (${act})(${i}))`));
    return { median: median(times), most: Math.max(...times) };
  };
  const slide = `(i) => {
    const slider = document.querySelector(".slider input");
    slider.value = 2 + (i % 7);
    slider.dispatchEvent(new InputEvent("input", { bubbles: true }));
  }`;
  const smoothing = await redraws(slide);
  const axis = await redraws("(i) => document.querySelectorAll('.chart-settings .segment input')[i % 3].click()");

  await start("live", { steps: 1_000_000, batchSize: 2, evalInterval: 50, checkpointInterval: 1000, sampleTokens: 60 });
  const watched = await context.newPage();
  await watched.addInitScript(watchShifts);
  await watched.goto(`${origin}/runs/live`);
  await watched.waitForTimeout(8000);
  const shifts = await watched.evaluate("globalThis.shifts");
  const shift = shifts.reduce((sum, { value }) => sum + value, 0);
  await api("runs/live/stop", {});

  const sizes = await bytesOf(join(root, "dist/studio"));
  const ms = (value) => `${value.toFixed(1)} ms`;
  console.log(machineLine(machine()));
  console.log(
    textTable([
      ["measured", "result"],
      ["JavaScript, gzipped", `${(sizes.js / 1024).toFixed(1)} KiB`],
      ["all files, gzipped", `${(sizes.all / 1024).toFixed(1)} KiB`],
      [`first view of ${runs} runs, until its rows are there`, `${ms(median(firstViews))} (first paint ${ms(paint)})`],
      [`first view of a run of ${steps} steps, until its curve is there`, ms(longView)],
      [`redraw of ${steps} steps, smoothed anew`, `${ms(smoothing.median)}, at most ${ms(smoothing.most)}`],
      [`redraw of ${steps} steps on another axis`, `${ms(axis.median)}, at most ${ms(axis.most)}`],
      ["layout shift in 8 s of a run under way", shift.toFixed(4)],
    ]),
  );
  for (const { value, startTime, moved } of shifts)
    console.log(`moved by ${value.toFixed(4)} after ${ms(startTime)} (x y width height): ${moved.join("; ")}`);
} finally {
  await browser.close();
  await studio.close();
  await rm(folder, { recursive: true });
}
