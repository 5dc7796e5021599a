// Makes pictures of every view of the studio, with a real server and real small runs. The pictures are light, dark and
// narrow, and show empty, active, finished and failed runs. Use the pictures to check a change of the page:
//     node scripts/docs/studio-screenshots.mjs FOLDER [VIEW]
// Writes FOLDER/runs-light.png and so on. If VIEW is given, the script writes only views with names that begin with
// VIEW. The script trains the runs in FOLDER/runs, and uses these runs again in the next call.
import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { chromium } from "playwright-core";
import { root } from "../build/common.mjs";
import { findChromium } from "../find-chromium.mjs";

const [folder, only = ""] = process.argv.slice(2);
if (folder === undefined)
  throw new Error("a folder for the pictures must be named: node scripts/docs/studio-screenshots.mjs FOLDER");
const out = resolve(folder);
await mkdir(out, { recursive: true });

const { startStudio } = await import(join(root, "dist/serve/studio/start.js"));
const pages = ["README.md", "docs/tutorial.md", "docs/architecture.md"];
const text = (await Promise.all(pages.map((page) => readFile(join(root, page), "utf8")))).join("\n");

// Only a studio that was open during a run's failure knows about the failure.
for (const name of ["exploded", "under-way"]) await rm(join(out, "runs", name), { recursive: true, force: true });
const studio = await startStudio({
  folder: join(out, "runs"),
  texts: join(root, "docs"),
  port: 0,
  threads: 1,
  version: "0.1.0",
});
const empty = await startStudio({ folder: join(out, "none"), port: 0, threads: 1, version: "0.1.0" });
const api = async (path, body) => {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(new URL(`/api/v1/${path}`, studio.url), {
    ...init,
    headers: { "Content-Type": "application/json", Origin: new URL(studio.url).origin },
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${path}: ${answer.error}`);
  return answer;
};
const settled = async (name) => {
  for (;;) {
    const { runs } = await api("runs");
    const run = runs.find((one) => one.name === name);
    if (run !== undefined && run.owner === null) return run;
    await new Promise((done) => setTimeout(done, 200));
  }
};

const model = { nLayer: 2, nHead: 2, nEmbd: 48, contextLength: 48 };
const train = { batchSize: 8, evalInterval: 25, checkpointInterval: 50, sampleTokens: 160, warmupSteps: 10 };
const start = async (name, config, extra = {}) => {
  await api("runs", { text: { kind: "given", name: "manual.txt", text }, preset: "quick", name, config, ...extra });
  return name;
};
const configOf = (changes) => ({ model, train: { ...train, steps: 400, learningRate: 4e-3, ...changes } });

if (!existsSync(join(out, "runs", "kept"))) {
  const { train: trainRun } = await import(join(root, "dist/worker/train.node.js"));
  const config = configOf({ steps: 300, evalInterval: 50 });
  const events = trainRun({ text, out: join(out, "runs", "kept"), config, keepLast: 5, threads: 1 });
  for await (const event of events) if (event.type === "checkpoint") console.log(`kept: step ${event.step}`);
}
if (!existsSync(join(out, "runs", "steady"))) {
  await settled(await start("steady", configOf({})));
  await settled(await start("faster", configOf({ learningRate: 1.6e-2 })));
  await settled(await start("adam", configOf({ optimizer: { kind: "adam" }, learningRate: 1e-3 })));
  await settled(await start("notes-2.first_try", configOf({ steps: 60 })));
  const pairs = { ...configOf({ steps: 200 }), tokenizer: { kind: "bpe", vocabSize: 400 } };
  await settled(await start("letters-of-my-grandmother-in-pairs-of-bytes-0.004", pairs));
  const stopped = await start("stopped", configOf({ steps: 4000 }));
  await new Promise((done) => setTimeout(done, 2500));
  await api(`runs/${stopped}/stop`, {});
  await settled(stopped);
}
const failing = await start(
  "exploded",
  configOf({ learningRate: 3e5, warmupSteps: 0, maxGradNorm: 0, steps: 100, optimizer: { kind: "adam" } }),
);
await settled(failing);
const live = await start("under-way", configOf({ steps: 100_000, evalInterval: 100 }));

const browser = await chromium.launch({ executablePath: findChromium(), args: ["--no-sandbox"] });
const looks = /** @type {const} */ ([
  { name: "light", width: 1280, height: 900, colorScheme: "light" },
  { name: "dark", width: 1280, height: 900, colorScheme: "dark" },
  { name: "narrow", width: 360, height: 740, colorScheme: "light" },
]);
const { models } = await api("models");
const best = (name) => models.find((one) => one.name === name && one.weights === "best")?.key ?? models[0].key;

const writeText = async (page) => {
  await page.getByLabel("Prompt").fill("The model ");
  await page.getByLabel("Tokens", { exact: true }).fill("90");
  await page.getByRole("button", { name: "Write", exact: true }).click();
  await page.getByRole("button", { name: "Write", exact: true }).waitFor({ timeout: 60_000 });
  await page.locator(".tokens .token").nth(12).click();
};
const insideText = "The model learns to spell, and then to read.";
const inside = (more) =>
  `/inside?${new URLSearchParams({ model: best("kept"), text: insideText, ...more }).toString()}`;
/** Trains in the page to a step that has a text, and then pauses. */
const trainTo = async (page, button, step) => {
  await page.getByRole("button", { name: button }).click();
  const isThere = (least) => Number(document.querySelector(".controls progress")?.getAttribute("value")) >= least;
  await page.waitForFunction(isThere, step, { timeout: 300_000 });
  await page.getByRole("button", { name: "Pause" }).click();
};
const views = [
  { name: "empty", at: "/runs", server: empty },
  { name: "empty-playground", at: "/playground", server: empty },
  {
    name: "runs",
    at: "/runs",
    act: async (page) => {
      for (const name of ["steady", "faster"]) await page.getByLabel(`Compare ${name}`).check();
    },
  },
  { name: "run-finished", at: "/runs/steady?smooth=20" },
  {
    name: "run-finished-cursor",
    at: "/runs/faster?scale=log&x=tokens",
    act: async (page) => {
      await page.getByRole("slider", { name: /^Loss/ }).focus();
      for (let i = 0; i < 3; i++) await page.keyboard.press("PageDown");
      await page.locator("details.fold > summary").first().click();
    },
  },
  { name: "run-live", at: `/runs/${live}?smooth=20` },
  { name: "run-stopped", at: "/runs/stopped", act: (page) => page.getByText("Extend", { exact: true }).click() },
  { name: "run-failed", at: `/runs/${failing}` },
  { name: "run-missing", at: "/runs/nothing-here" },
  { name: "compare", at: "/compare?runs=steady,faster,adam" },
  { name: "compare-training", at: "/compare?runs=steady,faster,adam&measure=loss&smooth=50" },
  { name: "compare-tokenizers", at: "/compare?runs=steady,letters-of-my-grandmother-in-pairs-of-bytes-0.004" },
  { name: "new", at: "/new" },
  {
    name: "new-filled",
    at: "/new",
    act: async (page) => {
      await page.getByRole("textbox", { name: "Text", exact: true }).fill(text.slice(0, 60_000));
      await page.getByLabel("Steps", { exact: true }).fill("500");
      await page.locator(".plan .facts").waitFor({ timeout: 30_000 });
      await page.getByPlaceholder(/Search/).fill("norm");
      await page.waitForTimeout(1200);
    },
  },
  {
    name: "playground",
    at: `/playground?model=${encodeURIComponent(best("steady"))}`,
    act: async (page) => {
      await writeText(page);
      await page.locator(".candidates button").nth(1).click();
      await page.getByRole("button", { name: "Write", exact: true }).waitFor({ timeout: 60_000 });
      await page.locator(".tokens .token").nth(14).click();
    },
  },
  {
    name: "playground-double",
    at: `/playground?model=${encodeURIComponent(best("steady"))}&with=${encodeURIComponent(best("adam"))}`,
    act: async (page) => {
      await page.getByText("Bits", { exact: true }).click();
      await writeText(page);
    },
  },
  {
    name: "playground-score",
    at: `/playground?tab=score&model=${encodeURIComponent(best("steady"))}`,
    act: async (page) => {
      await page.getByText("Underline", { exact: true }).click();
      await page
        .getByLabel("Text", { exact: true })
        .fill("The model learns to spell, and then to write words.\nA second line of zzz.");
      await page.getByRole("button", { name: "Measure" }).click();
      await page.locator(".tokens .token").nth(8).click();
    },
  },
  { name: "empty-chat", at: "/chat", server: empty },
  { name: "chat-without-template", at: `/chat?model=${encodeURIComponent(best("steady"))}` },
  { name: "empty-inside", at: "/inside", server: empty },
  {
    name: "inside-attention",
    at: inside({ layer: "2", head: "1", at: "12" }),
    act: (page) => page.locator(".map-box").waitFor(),
  },
  {
    name: "inside-one-checkpoint",
    at: `/inside?model=${encodeURIComponent(best("adam"))}`,
    act: (page) => page.locator(".map-box").waitFor(),
  },
  { name: "inside-lens", at: inside({ view: "lens", at: "6" }), act: (page) => page.locator(".cells").waitFor() },
  {
    name: "inside-neighbours",
    at: inside({ view: "neighbours" }),
    act: (page) => page.locator(".neighbours").waitFor(),
  },
  {
    name: "inside-heads",
    at: inside({ view: "heads", off: "1.2,2.1" }),
    act: async (page) => {
      await page.locator(".head-ranking").waitFor();
      await page.getByRole("button", { name: "Stop" }).waitFor({ state: "detached" });
      await page.getByRole("button", { name: "Write both" }).click();
      await page.getByRole("button", { name: "Write both" }).waitFor();
    },
  },
  {
    name: "inside-patching",
    at: inside({ view: "patching", text: "and the mode", corrupted: "and the moth", layer: "1", at: "12" }),
    act: async (page) => {
      await page.getByRole("button", { name: "Try every cell" }).click();
      await page.getByRole("button", { name: "Try every cell" }).waitFor();
    },
  },
  { name: "inside-unknown", at: inside({ text: "Жук and a cat" }), act: (page) => page.getByRole("alert").waitFor() },
  { name: "lesson-text", at: "/lesson" },
  {
    name: "lesson-own-text",
    at: "/lesson",
    act: async (page) => {
      await page.getByText("My own", { exact: true }).click();
      await page.getByRole("textbox", { name: "Your own text" }).fill("Too short.");
    },
  },
  { name: "lesson-pairs", at: "/lesson#/pairs" },
  { name: "lesson-loss", at: "/lesson#/loss" },
  { name: "lesson-training", at: "/lesson#/training", act: (page) => trainTo(page, "Start training", 101) },
  {
    name: "lesson-mask",
    at: "/lesson#/mask",
    act: async (page) => {
      await page.getByText("Off", { exact: true }).click();
      await trainTo(page, "Start the race", 101);
    },
  },
  {
    name: "lesson-writing",
    at: "/lesson#/writing",
    act: async (page) => {
      for (let i = 0; i < 6; i++) await page.getByRole("button", { name: "Write 10 characters" }).click();
      await page.getByText("81 characters.", { exact: false }).waitFor({ timeout: 60_000 });
      await page.getByRole("button", { name: "Draw", exact: true }).click();
    },
  },
];

try {
  for (const look of looks) {
    for (const { name, at, act, server = studio } of views) {
      if (!name.startsWith(only)) continue;
      const { name: lookName, width, height, colorScheme } = look;
      const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: "reduce" });
      const page = await context.newPage();
      page.on("console", (message) => message.type() === "error" && console.error(`${name}: ${message.text()}`));
      page.on("pageerror", (error) => console.error(`${name}: ${error.stack}`));
      await page.goto(new URL(at, server.url).href);
      await page.waitForTimeout(900);
      try {
        await act?.(page);
      } catch (error) {
        console.error(`${name}-${lookName}: ${error.message.split("\n").slice(0, 4).join(" ")}`);
      }
      await page.waitForTimeout(300);
      await page.screenshot({ path: join(out, `${name}-${lookName}.png`), fullPage: true });
      const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
      if (overflow > 0) console.error(`${name}-${lookName}: ${overflow} pixels wider than the window`);
      await context.close();
    }
  }
} finally {
  await browser.close();
  await Promise.all([studio.close(), empty.close()]);
}
