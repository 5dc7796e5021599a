/**
 * Tests the starter's page in Chromium. The page keeps its run when it is reloaded, and moves the run to Node and back.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { train as trainInNode } from "#foretoken/train/train.node.js";
import { isolation, missingChromium, program, serveSite } from "../browser/chromium.ts";
import { collect, useFolder, wordsText } from "../support/runs.ts";
import { unzip } from "../support/unzip.ts";
import { makeSmaller, newStarter, type Starter, siteFiles } from "./starter.ts";

const title = (what: string): string => (missingChromium === undefined ? what : `${what}: ${missingChromium}`);

describe.skipIf(missingChromium !== undefined)(title("a run of the starter's page"), () => {
  const { newPath } = useFolder();
  let browser: Browser | undefined;
  let starter: Starter;
  beforeAll(async () => {
    const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    browser = await chromium.launch({
      executablePath: program ?? "chromium",
      args: [...args, "--disable-dev-shm-usage"],
    });
    starter = await newStarter("page", { js: true });
    // Fifty steps take longer than a reload or a click.
    await makeSmaller(starter, 50, 64);
  });
  afterAll(async () => {
    await browser?.close();
    await starter?.remove();
  });

  it("goes on after a reload, in Node, and in the page again", async () => {
    const context = await browser?.newContext({ acceptDownloads: true });
    if (context === undefined) throw new Error("no browser");
    context.setDefaultTimeout(60_000);
    await serveSite({ files: await siteFiles(starter.folder), headers: isolation }, async (address) => {
      const page = await context.newPage();
      await page.goto(address);
      const status = page.locator("#status");
      const says = (text: string): Promise<void> => status.filter({ hasText: text }).waitFor();
      const text = wordsText("kept by a page", 600);
      const box = page.getByRole("textbox", { name: "Paste a text of your own" });
      const steps = page.getByRole("spinbutton", { name: "Steps" });
      await steps.fill("200");
      await box.fill(text);
      await page.getByRole("button", { name: "Train" }).click();
      // The checkpoint is stored, but the few steps after it are lost.
      await page.locator("#table tr").nth(1).waitFor({ state: "attached" });
      await page.reload();
      await says("Stored in your browser: step");
      await expect
        .poll(() => status.textContent())
        .toMatch(/^Stored in your browser: step (?:50|100) of 200\. Press Resume or Write\.$/u);
      await expect.poll(() => box.inputValue()).toBe(text);
      await page.getByText(/^Resume trains the remaining 1[05]0 steps\.$/u).waitFor();
      // The history is shown as before, and the model can write.
      await expect.poll(() => page.locator("#curve circle").count()).toBeGreaterThan(0);
      await expect.poll(() => page.locator("#samples h3").first().textContent()).toBe("After 50 steps");
      await page.getByRole("textbox", { name: "The text begins with" }).fill("the ");
      await page.getByRole("button", { name: "Write" }).click();
      await page
        .locator("#written")
        .getByText(/^the [a-z. \n]/u)
        .waitFor();
      await page.keyboard.press("Escape");

      // A new training does not begin at once. The page asks first.
      const train = page.getByRole("button", { name: "Train", exact: true });
      const question = page.getByRole("dialog", { name: "This replaces the run in your browser (step" });
      for (const refuse of [
        () => page.getByRole("button", { name: "Cancel" }).click(),
        () => page.keyboard.press("Escape"),
      ]) {
        await train.click();
        await question.waitFor();
        await refuse();
        await question.waitFor({ state: "hidden" });
        await page.locator("#go-on:enabled").waitFor();
        await expect.poll(() => status.textContent()).not.toContain("Training");
      }

      await page.getByRole("button", { name: "Resume" }).click();
      await page.locator("#table tr").nth(2).waitFor({ state: "attached" });
      await page.getByRole("button", { name: "Stop" }).click();
      await says("Stopped at step");
      const [saved] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name: "Download" }).click(),
      ]);
      expect(saved.suggestedFilename()).toBe("foretoken-run.zip");
      const archive = await readFile(await saved.path());
      const folder = newPath();
      const files = unzip(new Uint8Array(archive).buffer);
      for (const [path, { bytes }] of Object.entries(files)) {
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), bytes);
      }
      const run = join(folder, "foretoken-run");
      const events = await collect(trainInNode({ resume: run, backend: "wasm", threads: 1 }));
      expect(events[0]).toMatchObject({ type: "start" });
      expect(Reflect.get(events[0] ?? {}, "step")).toBeGreaterThanOrEqual(150);
      expect(events.at(-1)).toMatchObject({ type: "done", step: 200, reason: "finished" });

      await page.locator("#folder").setInputFiles(run);
      await page.getByRole("button", { name: "Replace it" }).click();
      await says("Opened: step 200 of 200");
      await page.getByText("Resume trains 400 more steps. For many more steps, press Train.").waitFor();
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByText("of 600", { exact: true }).waitFor();
      await page.locator("#table tr").nth(4).waitFor({ state: "attached" });
      await page.getByRole("button", { name: "Stop" }).click();
      await says("Stopped at step");
      // The page shows the new end of an extended run.
      await page.reload();
      await says("Stored in your browser: step");
      await expect.poll(() => status.textContent()).toMatch(/step \d+ of 600\. Press Resume/u);
      await page.getByText("of 600", { exact: true }).waitFor();
      await expect.poll(() => page.locator("progress").getAttribute("max")).toBe("600");
      await train.click();
      const [first] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name: "Download, then replace" }).click(),
      ]);
      expect(first.suggestedFilename()).toBe("foretoken-run.zip");
      await page.getByRole("button", { name: "Stop" }).click();
      await says("Stopped");
      // The page refuses another text with a message of its own.
      await box.fill(`${text} more`);
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByRole("alert").getByText("The run was trained on another text.", { exact: false }).waitFor();

      // A second tab waits a little for the storage, as after a reload. After that, it stores nothing and says so.
      const other = await context.newPage();
      await other.goto(address);
      await other.getByRole("button", { name: "Train", exact: true }).click();
      await page.close();
      await other.getByRole("dialog", { name: "This replaces the run" }).waitFor();
      await other.keyboard.press("Escape");
      await expect.poll(() => other.locator("#status").textContent()).toMatch(/^Stored in your browser: step/u);
      const third = await context.newPage();
      await third.goto(address);
      const unkept = third.getByRole("alert").getByText("The run is open in another tab.", { exact: false });
      await unkept.waitFor();
      await third.getByRole("button", { name: "Try again" }).waitFor();
      await expect.poll(() => third.locator(".notice").count()).toBe(1);
      await other.close();
      await third.getByRole("button", { name: "Try again" }).click();
      await third.locator("#status").filter({ hasText: "Stored in your browser: step" }).waitFor();
      await expect.poll(() => unkept.count()).toBe(0);
    });
    await context.close();
  });
});
