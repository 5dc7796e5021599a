import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { missingChromium } from "../browser/chromium.ts";
import { catText } from "../serve/studio.ts";
import { useCable } from "./cable.ts";
import {
  inkOf,
  lastStep,
  noteShifts,
  openFolds,
  shiftsOf,
  stateOf,
  untilStep,
  useStudioPages,
} from "./studio-pages.ts";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const { server, openPage, run } = useStudioPages();
const cable = useCable();

describe.skipIf(missingChromium !== undefined)("a run from the page", () => {
  it("starts on a pasted text, moves, survives a reload, stops, resumes and is extended", async () => {
    const page = await openPage("/runs");
    await page.getByRole("heading", { name: "No runs yet" }).waitFor();
    await page.getByRole("link", { name: "Start a run" }).click();
    await page.getByRole("textbox", { name: "Text", exact: true }).fill(catText);
    await page.getByLabel("Name", { exact: true }).fill("from-page");
    // This recipe has no patience, so the run does not end early. Without a recipe, the text would determine the
    // patience.
    await page.getByLabel("Recipe", { exact: true }).selectOption("quick");
    await openFolds(page);
    for (const [label, value] of [
      ["Steps", "200000"],
      ["Layers", "1"],
      ["Heads", "2"],
      ["Width", "8"],
      ["Context", "8"],
      ["Batch", "2"],
      ["Evaluate every", "50"],
    ] as const)
      await page.getByLabel(label, { exact: true }).fill(value);
    const command = page.locator(".command-text").getByText("--train.steps 200000");
    await command.waitFor();

    // The draft has been restored.
    await page.reload();
    await expect.poll(() => page.getByLabel("Steps", { exact: true }).inputValue()).toBe("200000");
    await expect.poll(() => page.getByRole("textbox", { name: "Text", exact: true }).inputValue()).toBe(catText);
    await command.waitFor();
    await page.getByRole("button", { name: "Start the run" }).click();
    await page.waitForURL("**/runs/from-page");

    await untilStep(page, 30);
    const early = await lastStep(page);
    await untilStep(page, early + 30);
    await expect.poll(() => inkOf(page)).toBeGreaterThan(1000);

    const settings = page.locator(".chart-settings");
    await settings.getByText("Log", { exact: true }).click();
    await settings.getByText("Tokens", { exact: true }).click();
    expect(new URL(page.url()).search).toBe("?scale=log&x=tokens");
    await page.reload();
    await untilStep(page, early * 16);
    await expect.poll(() => page.getByRole("radio", { name: "Log" }).isChecked()).toBe(true);
    await settings.getByText("Steps", { exact: true }).click();

    await untilStep(page, 101);
    await page.getByRole("button", { name: "Stop" }).click();
    await stateOf(page, "Stopped");
    // The last events may arrive after the state.
    const { step: stopped } = await server.summary("from-page");
    await untilStep(page, stopped);
    await expect.poll(() => lastStep(page)).toBe(stopped);

    await page.getByRole("button", { name: "Resume" }).click();
    await stateOf(page, "Training");
    await untilStep(page, stopped + 20);
    await page.getByRole("button", { name: "Stop" }).click();
    await stateOf(page, "Stopped");
    const { step: again } = await server.summary("from-page");

    await page.getByText("Extend", { exact: true }).click();
    await page.getByLabel("Total steps").fill(String(again + 40));
    await page.getByRole("button", { name: "Train 40 more steps" }).click();
    await stateOf(page, "Finished");
    await page.waitForFunction(
      (last) => document.querySelector(".chart-340")?.getAttribute("aria-valuemax") === String(last),
      again + 40,
    );
    // Every step occurs exactly once, including the steps before the stops.
    const { body } = await server.get<{ steps: { step: readonly number[] } }>("runs/from-page/series");
    expect(body.steps.step).toEqual(Array.from({ length: again + 40 }, (_, i) => i + 1));
  });
});

describe.skipIf(missingChromium !== undefined)("a page that fills", () => {
  it.each([1280, 400])("moves nothing, %i pixels wide, while a run goes on", async (width) => {
    const name = `fills-${width}`;
    await run(name, 200_000, { evalInterval: 40, checkpointInterval: 1000, sampleTokens: 150 });
    const page = await openPage(`/runs/${name}`, { width });
    await noteShifts(page);
    // The window is high enough to show everything.
    await page.setViewportSize({ width, height: 3200 });
    await page.reload();
    try {
      // By then the small model has begun to learn its text by heart, and has stopped and begun again.
      await page.getByText("learns the text by heart").waitFor({ timeout: 60_000 });
      await untilStep(page, 1401);
      expect(await shiftsOf(page)).toEqual([]);
    } finally {
      await server.post(`runs/${name}/stop`, {});
      await server.until(name, ({ owner }) => owner === null);
    }
  });
});

describe.skipIf(missingChromium !== undefined)("a connection that is lost", () => {
  it("goes on where it was, with every step once", async () => {
    await run("unplugged", 200_000, { evalInterval: 100, sampleTokens: 0 });
    const page = await openPage("/runs/unplugged", { proxy: cable.address() });
    await untilStep(page, 40);
    cable.pull();
    await page.getByText("The connection to the studio is lost").waitFor();
    await stateOf(page, "Studio unreachable");
    await expect.poll(() => page.getByRole("button", { name: "Stop" }).isDisabled()).toBe(true);
    // One banner says what happens and what to do.
    await expect.poll(() => page.getByText("npx foretoken studio").count()).toBe(1);
    await expect.poll(() => page.getByRole("alert").count()).toBe(0);
    const lost = await lastStep(page);
    await server.until("unplugged", ({ step }) => step > lost + 40);
    await expect.poll(() => lastStep(page)).toBe(lost);
    cable.plug();
    await untilStep(page, lost + 60);
    await page.getByText("The connection to the studio is lost").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Stop" }).click();
    await stateOf(page, "Stopped");
    const { body } = await server.get<{ steps: { step: readonly number[]; loss: readonly number[] } }>(
      "runs/unplugged/series",
    );
    await untilStep(page, body.steps.step.length);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Save Loss as CSV" }).click(),
    ]);
    const rows = (await readFile(await download.path(), "utf8"))
      .split("\n")
      .filter((row) => row.startsWith("training,"));
    expect(rows).toEqual(body.steps.step.map((step, i) => `training,${step},${body.steps.loss[i]}`));
  });
});

describe.skipIf(missingChromium !== undefined)("a run of another process", () => {
  it("is stopped after a question, and resumed here", async () => {
    const text = server.path("cat.txt");
    await writeFile(text, catText);
    const small = ["--model.nLayer", "1", "--model.nHead", "2", "--model.nEmbd", "8", "--model.contextLength", "8"];
    const often = ["--train.evalInterval", "50", "--train.checkpointInterval", "50"];
    // The run must not end during the test.
    const endless = ["--train.steps", "1000000", "--patience", "0"];
    const where = ["--out", server.path("runs", "terminal"), "--backend", "wasm", "--threads", "1"];
    const child = spawn(process.execPath, [main, "train", "--data", text, ...small, ...often, ...endless, ...where], {
      stdio: "ignore",
    });
    const ended = new Promise((done) => child.on("close", done));
    try {
      await server.until("terminal", ({ owner, step }) => owner === "elsewhere" && step > 60);
      const page = await openPage("/runs/terminal");
      await stateOf(page, "Training elsewhere");
      await page.getByRole("button", { name: "Stop" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
      expect((await server.summary("terminal")).owner).toBe("elsewhere");
      await page.getByRole("button", { name: "Stop" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Stop the run" }).click();
      await ended;
      await stateOf(page, "Stopped");
      await page.getByRole("button", { name: "Resume" }).click();
      await stateOf(page, "Training");
      await page.getByRole("button", { name: "Stop" }).click();
      await stateOf(page, "Stopped");
    } finally {
      child.kill("SIGKILL");
    }
  });
});
