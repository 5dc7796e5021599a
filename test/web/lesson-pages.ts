/**
 * Walks through the lesson. Two tests share this code: the test of the lesson in the studio, and the test of its static
 * files.
 */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import { violationsOf } from "./page.ts";

// The import uses a URL, because the scripts have no types.
const { buildLesson } = (await import(new URL("../../scripts/build/lesson.mjs", import.meta.url).href)) as {
  buildLesson(folder: string): Promise<string>;
};

const types: Readonly<Record<string, string>> = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
  ".txt": "text/plain",
};

export interface StaticLesson {
  readonly address: () => string;
  /** The paths that the page requested. */
  readonly asked: readonly string[];
}

/** A static file server for the folder of the built lesson. The server does not send our headers. */
export const useStaticLesson = (): StaticLesson => {
  let folder = "";
  const asked: string[] = [];
  const server = createServer(async ({ url = "/", method = "" }, response) => {
    const path = url.split("?")[0] ?? "/";
    asked.push(`${method} ${path}`);
    // The lesson is not at the host's root, so the addresses in the page must be relative.
    const name = path === "/lesson/" ? "index.html" : path.replace(/^\/lesson\//u, "");
    const content = await readFile(join(folder, name)).catch(() => undefined);
    if (content === undefined || !path.startsWith("/lesson/")) response.writeHead(404).end();
    else response.writeHead(200, { "Content-Type": types[extname(name)] ?? "text/plain" }).end(content);
  });
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "foretoken-lesson-"));
    await buildLesson(folder);
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  }, 120_000);
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    await rm(folder, { recursive: true });
  });
  return { asked, address: () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/lesson/` };
};

export const partNames = ["text", "pairs", "loss", "training", "mask", "writing"] as const;
export type PartName = (typeof partNames)[number];

const titles: Readonly<Record<PartName, string>> = {
  text: "Your text",
  pairs: "One text, many examples",
  loss: "How wrong a guess is",
  training: "A model learns your text",
  mask: "Why a model must not look ahead",
  writing: "One character at a time",
};

/** Opens a part of the lesson from the list of parts. */
export const goTo = async (page: Page, name: PartName): Promise<void> => {
  const number = partNames.indexOf(name) + 1;
  await page
    .getByRole("navigation", { name: "Parts of the lesson" })
    .getByRole("link")
    .nth(number - 1)
    .click();
  await page.getByRole("heading", { level: 1, name: titles[name] }).waitFor();
  expect(new URL(page.url()).hash).toBe(`#/${name}`);
};

/** The reader's own text. The text has 16 characters in 4 words that repeat, so a model learns it in a few steps. */
export const ownText = "the fox sees the moon. ".repeat(60);

export const giveOwnText = async (page: Page): Promise<void> => {
  await goTo(page, "text");
  await page.getByText("My own", { exact: true }).click();
  await page.getByRole("textbox", { name: "Your own text" }).fill(ownText);
  await page.getByText("1,380 characters.", { exact: false }).waitFor();
};

/** Number of finished steps, as the page shows it. */
export const untilStep = (page: Page, least: number) =>
  page.waitForFunction(
    (step) => (document.querySelector(".controls progress") as HTMLProgressElement).value >= step,
    least,
  );

/** Opens all parts with the reader's own text, with a short training, and then goes back. */
export const walk = async (page: Page): Promise<void> => {
  await giveOwnText(page);
  await expect.poll(() => page.locator(".vocabulary li").count()).toBe(new Set(ownText).size);

  await page.getByRole("link", { name: "Next: Pairs" }).click();
  await page.getByRole("heading", { level: 1, name: titles.pairs }).waitFor();
  const row = (name: string) =>
    page.locator(".aligned tr").filter({ has: page.getByRole("rowheader", { name, exact: true }) });
  await expect.poll(async () => (await row("x").locator(".cell").allTextContents()).join("")).toBe("the␣fox␣");
  await expect.poll(async () => (await row("y").locator(".cell").allTextContents()).join("")).toBe("he␣fox␣s");
  await page.getByRole("button", { name: "Move the window forward by one" }).click();
  await expect.poll(async () => (await row("x").locator(".cell").allTextContents()).join("")).toBe("he␣fox␣s");
  await page.getByRole("slider", { name: "Position" }).press("Home");
  await page.getByText("Position 0 sees h and must predict e.", { exact: false }).waitFor();
  await page.getByRole("slider", { name: "Window begins at" }).press("End");
  await expect.poll(async () => (await row("y").locator(".cell").allTextContents()).join("")).toBe("e␣moon.␣");

  await goTo(page, "loss");
  const vocabSize = new Set(ownText).size;
  const p = page.getByRole("slider", { name: "p of the right character" });
  await p.press("End");
  await expect.poll(() => p.getAttribute("aria-valuetext")).toBe("100\u00a0%, loss 0.00 nats");
  await page.getByText(`its loss is ln ${vocabSize} = ${Math.log(vocabSize).toFixed(2)}`, { exact: false }).waitFor();
  await p.press("Home");
  await expect.poll(() => p.getAttribute("aria-valuetext")).toBe("0.10\u00a0%, loss 6.91 nats");
  await page.getByText("worse than guessing", { exact: false }).waitFor();
  const guesses = page.locator(".guesses input");
  for (let i = 0; i < 3; i++) await guesses.nth(i).press("End");
  await guesses.nth(3).press("Home");
  // Three guesses have probability 1 and one guess has 0.1 %, so the mean loss is a quarter of 6.91.
  await expect.poll(() => guesses.nth(3).getAttribute("aria-valuetext")).toBe("0.10\u00a0%, loss 6.91, mean 1.73 nats");
  await page.getByText("e^(4.17 − 1.40) = 16 times the probability of a guesser", { exact: false }).waitFor();

  await goTo(page, "training");
  await page.getByRole("button", { name: "Start training" }).click();
  await untilStep(page, 60);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("Paused: step", { exact: false }).waitFor();
  const paused = await page.locator(".controls progress").getAttribute("value");
  // The chart names the same training loss as the figure above it.
  const figure = page.locator(".figure", { hasText: "Training loss" }).locator(".figure-value");
  const chart = page.getByRole("slider", { name: /^Loss/ });
  const isSame = async (): Promise<boolean | undefined> =>
    (await chart.getAttribute("aria-valuetext"))?.includes(`recent mean: training ${await figure.textContent()}, `);
  await expect.poll(isSame).toBe(true);
  // An exponent of a class must be readable from afar.
  const sizes = await page.locator(".power sup").evaluateAll((all) => all.map((one) => getComputedStyle(one).fontSize));
  expect(sizes.length).toBeGreaterThan(0);
  for (const size of sizes) expect(Number.parseFloat(size)).toBeGreaterThanOrEqual(11);
  // There are samples from before the first step and after 50 steps.
  await page.getByRole("slider", { name: "Training step of the text" }).press("Home");
  await page.getByText("after 0 steps", { exact: true }).waitFor();
  await expect.poll(() => page.locator(".lesson-samples .prompt").textContent()).toBe("the fox sees the moon.");

  await goTo(page, "writing");
  await page.getByText(`After ${paused} of 400 steps.`).waitFor();
  await page.getByRole("textbox", { name: "The text begins with" }).fill("the fo");
  const likeliest = page.locator(".bars tbody tr").first();
  // The model has learned that an x comes next.
  await likeliest.getByText("x", { exact: true }).waitFor();
  await page.getByRole("slider", { name: "Top-k" }).press("Home");
  await likeliest.getByText("100 %").waitFor();
  await page.getByRole("button", { name: "Draw", exact: true }).click();
  await page.getByText("falls into 0.0000 to 1.0000: x", { exact: false }).waitFor();
  await page.getByRole("button", { name: "Append x, and again" }).click();
  await page.locator(".sequence .inside").getByText("the fox").waitFor();
  // The next step begins, but the reader's view does not move: the table and the focus stay in place.
  await expect.poll(() => page.evaluate("document.activeElement.textContent")).toBe("Draw");
  await expect.poll(() => page.locator(".tail").textContent()).toBe("the␣fox");
  for (let i = 1; i <= 6; i++) {
    await page.getByRole("button", { name: "Write 10 characters" }).click();
    await page.getByText(`${7 + 10 * i} characters.`, { exact: false }).waitFor();
  }
  await page.getByText("sees only the last 64", { exact: false }).waitFor();
  await expect.poll(() => page.locator(".sequence .outside").textContent()).toBe("the");

  // The training and the generated text are still there.
  await goTo(page, "training");
  await page.getByText(`Paused: step ${paused} of 400`, { exact: false }).waitFor();
  await page.getByRole("button", { name: "Start over" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await page.getByText(`Paused: step ${paused} of 400`, { exact: false }).waitFor();
  await goTo(page, "writing");
  await page.getByText("67 characters.", { exact: false }).waitFor();
};

/**
 * Expects no serious accessibility finding in any part of the page in this state. Each part must fit into the window.
 */
export const checkParts = async (page: Page): Promise<void> => {
  for (const name of partNames) {
    await goTo(page, name);
    await page.locator("main h2").first().waitFor();
    await expect.poll(async () => ({ name, found: await violationsOf(page) })).toEqual({ name, found: [] });
    await expect.poll(() => page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
  }
};
