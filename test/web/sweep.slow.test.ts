import { mkdir, readFile, writeFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { sweep } from "#foretoken/index.js";
import { missingChromium } from "../browser/chromium.ts";
import { catText } from "../serve/studio.ts";
import { expectNothingSerious } from "./page.ts";
import { inkOf, useStudioPages } from "./studio-pages.ts";

const { server, openPage } = useStudioPages();

const config = () => ({
  data: server.path("cat.txt"),
  model: { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8 },
  train: { steps: 40, batchSize: 2, evalInterval: 4, checkpointInterval: 4, warmupSteps: 1 },
  vary: { "train.learningRate": [1e-5, 0.002, 0.02], "model.dropout": [0] },
  seeds: 2,
});
const swept = (signal?: AbortSignal) =>
  sweep(config(), { out: server.path("runs", "rates"), backend: "wasm", threads: 1, signal });
const row = (page: Page, number: number) => page.locator("table.sweep tbody tr", { hasText: `${number} learningRate` });

describe.skipIf(missingChromium !== undefined)("the page of a sweep", () => {
  beforeAll(async () => {
    await mkdir(server.path("runs"));
    await writeFile(server.path("cat.txt"), catText);
    const stop = new AbortController();
    const started = async () => {
      for await (const event of swept(stop.signal)) if (event.type === "run") stop.abort();
    };
    await expect(started()).rejects.toThrow("aborted");
  });

  it("follows the sweep from its first runs to its winner", async () => {
    const page = await openPage("/runs");
    await page.getByRole("link", { name: "rates" }).click();
    await page.waitForURL("**/sweeps/rates");
    await row(page, 3).locator("td").getByText("Not begun").waitFor();
    await expect.poll(() => page.locator("table.sweep tbody tr").count()).toBe(3);
    for await (const event of swept()) if (event.type === "done") break;
    await page.getByRole("heading", { name: "Best setting: learningRate 0.02, dropout 0" }).waitFor();
    const command = page.locator(".winner .command code");
    await expect
      .poll(() => command.textContent())
      .toMatch(/^npx foretoken train --data .*cat\.txt --config .*rates\/winner\.json$/u);
    await expect.poll(() => row(page, 3).textContent()).toMatch(/Finished.*80 \/ 80.*best$/u);
    await expect.poll(() => inkOf(page)).toBeGreaterThan(1000);
    await row(page, 1)
      .getByRole("link", { name: /^seed 1/u })
      .click();
    await page.waitForURL("**/runs/rates%3A01-seed1");
    await page.getByRole("heading", { name: "rates:01-seed1" }).waitFor();
  });

  it("shows the curves of the chosen settings and seed, and keeps the choice in its address", async () => {
    const page = await openPage("/sweeps/rates");
    const readings = page.locator(".chart-reading .reading-label");
    await readings.nth(2).waitFor();
    const savedAs = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save Validation loss as SVG" }).click();
    const svg = await readFile(await (await savedAs).path(), "utf8");
    expect(svg).toContain(">1: 0.00001 · 0</text>");
    expect(svg).toContain(">1 learningRate 0.00001, dropout 0</text>");
    await page.getByLabel("Show the curve of setting 2").uncheck();
    await page.locator(".chart-settings").getByText("2", { exact: true }).click();
    expect(new URL(page.url()).search).toBe("?settings=1%2C3&seed=2");
    await page.reload();
    await readings.first().waitFor();
    await page.locator(".reading-title").getByText("learningRate · dropout:", { exact: true }).waitFor();
    const isChosen = (label: string) => /^(?:1: 0\.00001|3: 0\.02) · 0$/u.test(label);
    await expect.poll(async () => (await readings.allTextContents()).every(isChosen)).toBe(true);
  });

  it("is readable when it is dark or narrow", async () => {
    const page = await openPage("/sweeps/rates");
    await expectNothingSerious(page, () => page.locator(".reading-label").first().waitFor());
  });

  it("says that there is no such sweep", async () => {
    const page = await openPage("/sweeps/other");
    await page.getByText("The folder has no sweep with this name.").waitFor();
  });
});
