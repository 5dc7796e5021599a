import { appendFile, readFile, rename } from "node:fs/promises";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { missingChromium } from "../browser/chromium.ts";
import { catText, smallRun, useStudio } from "../serve/studio.ts";
import { useCable } from "./cable.ts";
import { usePages, violationsOf } from "./page.ts";

const server = useStudio();
const cable = useCable();
const open = missingChromium === undefined ? usePages(server.address) : undefined;
const openPage: NonNullable<typeof open> = (...given) => {
  if (open === undefined) throw new Error("no chromium");
  return open(...given);
};

const run = async (name: string, steps: number, train: object = {}) => {
  const { status, body } = await server.post("runs", smallRun(name, steps, train));
  expect(body).toEqual({ name });
  expect(status).toBe(200);
};
const runToEnd = async (name: string, steps: number, train: object = {}) => {
  await run(name, steps, train);
  return server.until(name, ({ owner }) => owner === null);
};

/** The last step that the chart of losses knows, as a screen reader is told. */
const lastStep = async (page: Page): Promise<number> =>
  Number(await page.getByRole("slider", { name: /^Loss/ }).getAttribute("aria-valuemax"));

const untilStep = (page: Page, step: number) =>
  page.waitForFunction(
    (least) => Number(document.querySelector(".chart-340")?.getAttribute("aria-valuemax")) >= least,
    step,
    { timeout: 60_000 },
  );

const stateOf = (page: Page, word: string) =>
  page.locator(".run-state .state").getByText(word, { exact: true }).waitFor({ timeout: 60_000 });

/** The number of different colours of pixels in the chart: an empty one has few. */
const inkOf = (page: Page) =>
  page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>(".chart-340 canvas");
    const pixels = canvas?.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
    let inked = 0;
    for (let i = 3; i < pixels.length; i += 4) if (pixels[i] !== 0) inked++;
    return inked;
  });

describe.skipIf(missingChromium !== undefined)("a run from the page", () => {
  it("starts on a pasted text, moves, survives a reload, stops, resumes and is extended", {
    timeout: 180_000,
  }, async () => {
    const page = await openPage("/runs");
    await page.getByRole("heading", { name: "No runs yet" }).waitFor();
    await page.getByRole("link", { name: "Start a run" }).click();
    await page.getByRole("textbox", { name: "Text", exact: true }).fill(catText);
    await page.getByLabel("Name", { exact: true }).fill("from-page");
    for (const [label, value] of [
      ["Steps", "200000"],
      ["Layers", "1"],
      ["Heads", "2"],
      ["Width", "8"],
      ["Context", "8"],
      ["Batch", "2"],
      ["Steps per evaluation", "50"],
    ] as const)
      await page.getByLabel(label, { exact: true }).fill(value);
    const command = page.locator(".command-text").getByText("--train.steps 200000");
    await command.waitFor();

    // The draft is there again.
    await page.reload();
    expect(await page.getByLabel("Steps", { exact: true }).inputValue()).toBe("200000");
    expect(await page.getByRole("textbox", { name: "Text", exact: true }).inputValue()).toBe(catText);
    await command.waitFor();
    await page.getByRole("button", { name: "Start the run" }).click();
    await page.waitForURL("**/runs/from-page");

    await untilStep(page, 30);
    const early = await lastStep(page);
    await untilStep(page, early + 30);
    expect(await inkOf(page)).toBeGreaterThan(1000);

    const settings = page.locator(".chart-settings");
    await settings.getByText("Log", { exact: true }).click();
    await settings.getByText("Tokens", { exact: true }).click();
    expect(new URL(page.url()).search).toBe("?scale=log&x=tokens");
    await page.reload();
    await untilStep(page, early * 16);
    expect(await page.getByRole("radio", { name: "Log" }).isChecked()).toBe(true);
    await settings.getByText("Steps", { exact: true }).click();

    await untilStep(page, 101);
    await page.getByRole("button", { name: "Stop" }).click();
    await stateOf(page, "Stopped");
    const stopped = await lastStep(page);
    expect((await server.summary("from-page")).step).toBe(stopped);

    await page.getByRole("button", { name: "Resume" }).click();
    await stateOf(page, "Training");
    await untilStep(page, stopped + 20);
    await page.getByRole("button", { name: "Stop" }).click();
    await stateOf(page, "Stopped");
    const again = await lastStep(page);

    await page.getByText("Extend", { exact: true }).click();
    await page.getByLabel("Steps in all").fill(String(again + 40));
    await page.getByRole("button", { name: "Train 40 more steps" }).click();
    await stateOf(page, "Finished");
    await page.waitForFunction(
      (last) => document.querySelector(".chart-340")?.getAttribute("aria-valuemax") === String(last),
      again + 40,
    );
    // Every step once, those before the stops too.
    const { body } = await server.get<{ steps: { step: readonly number[] } }>("runs/from-page/series");
    expect(body.steps.step).toEqual(Array.from({ length: again + 40 }, (_, i) => i + 1));
  });
});

describe.skipIf(missingChromium !== undefined)("a connection that is lost", () => {
  it("goes on where it was, with every step once", { timeout: 120_000 }, async () => {
    await run("unplugged", 200_000, { evalInterval: 100, sampleTokens: 0 });
    const page = await openPage("/runs/unplugged", { proxy: cable.address() });
    await untilStep(page, 40);
    cable.pull();
    await page.getByText("The connection to the studio is lost").waitFor();
    const lost = await lastStep(page);
    await server.until("unplugged", ({ step }) => step > lost + 40);
    expect(await lastStep(page)).toBe(lost);
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

describe.skipIf(missingChromium !== undefined)("the page", () => {
  beforeAll(async () => {
    await runToEnd("first", 40);
    await runToEnd("second", 24, { learningRate: 0.03 });
    await run("broken", 50, { learningRate: 1e30, warmupSteps: 0, maxGradNorm: 0 });
    await server.until("broken", ({ owner }) => owner === null);
  }, 120_000);

  it("shows samples along the run, by its slider and by keys", async () => {
    const page = await openPage("/runs/first");
    const slider = page.getByRole("slider", { name: "Sample" });
    const text = page.locator(".samples .written");
    await slider.waitFor();
    const last = await text.textContent();
    await slider.press("Home");
    await page.getByText("(1 of 10)").waitFor();
    expect(await text.textContent()).not.toBe(last);
    expect(await slider.getAttribute("aria-valuetext")).toBe("step 4, 1 of 10");
    await slider.press("ArrowRight");
    await page.getByText("(2 of 10)").waitFor();
    await page.reload();
    await page.getByText("(2 of 10)").waitFor();
  });

  it("tells the numbers at the cursor by keys", async () => {
    const page = await openPage("/runs/first");
    await untilStep(page, 40);
    const chart = page.getByRole("slider", { name: /^Loss/ });
    await chart.press("Home");
    const { body } = await server.get<{ steps: { loss: readonly number[] } }>("runs/first/series");
    expect(await chart.getAttribute("aria-valuetext")).toContain(`Steps 1: training ${body.steps.loss[0]?.toFixed(4)}`);
    for (let i = 0; i < 6; i++) await chart.press("ArrowRight");
    expect(await chart.getAttribute("aria-valuetext")).toContain(`Steps 7: training ${body.steps.loss[6]?.toFixed(4)}`);
  });

  it("saves a chart as SVG, PNG and CSV", async () => {
    const page = await openPage("/runs/first");
    await untilStep(page, 40);
    const save = async (format: string): Promise<Buffer> => {
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name: `Save Loss as ${format}` }).click(),
      ]);
      expect(download.suggestedFilename()).toBe(`first-loss.${format.toLowerCase()}`);
      return readFile(await download.path());
    };
    const svg = (await save("SVG")).toString();
    expect(svg).toMatch(/^<svg xmlns/);
    expect(svg.match(/<path /g)).toHaveLength(2);
    expect((await save("PNG")).subarray(1, 4).toString()).toBe("PNG");
    const csv = (await save("CSV")).toString().trim().split("\n");
    expect(csv[0]).toBe("curve,Steps,value");
    expect(csv.filter((line) => line.startsWith("training,"))).toHaveLength(40);
    expect(csv.filter((line) => line.startsWith("validation,"))).toHaveLength(10);
  });

  it("compares two runs that were ticked, and names what differs", async () => {
    const page = await openPage("/runs");
    for (const name of ["first", "second"]) await page.getByLabel(`Compare ${name}`).check();
    await page.getByRole("link", { name: "Compare 2 runs" }).click();
    const table = page.locator("table.differences");
    await table.waitFor();
    const rows = await table.locator("tbody tr").allTextContents();
    expect(rows).toContain("train.steps4024");
    expect(rows.some((row) => row.startsWith("train.learningRate"))).toBe(true);
    expect(rows.some((row) => row.startsWith("model."))).toBe(false);
    await page.getByRole("slider", { name: /^Validation loss/ }).press("End");
    expect(await page.locator(".chart-reading .reading-label").allTextContents()).toEqual(["first", "second"]);
    await page.reload();
    await table.waitFor();
  });

  it("sorts, filters and copies the list", async () => {
    const page = await openPage("/runs");
    const names = () => page.locator("table.runs .run-name").allTextContents();
    await page.getByRole("button", { name: "Steps" }).click();
    expect((await names()).at(-1)).toBe("from-page");
    await page.getByRole("searchbox").fill("finished second");
    expect(await names()).toEqual(["second"]);
    await page.getByRole("button", { name: "Copy table" }).click();
    await page.getByText("Copied").waitFor();
    const copied = (await page.evaluate("navigator.clipboard.readText()")) as string;
    const [head, row, ...others] = copied.split("\n").map((line) => line.split("\t"));
    expect(head?.slice(0, 3)).toEqual(["Run", "State", "Steps"]);
    expect(row?.slice(0, 3)).toEqual(["second", "Finished", "24/24"]);
    expect(others).toEqual([]);
  });

  it("says why a run failed", async () => {
    const page = await openPage("/runs/broken");
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("alert").textContent()).toMatch(/must stay finite|exploded?/);
  });

  it("writes with a model, names candidates, branches, and goes back", async () => {
    const page = await openPage("/playground?run=first");
    await page.getByLabel("Prompt").fill("The cat ");
    await page.getByLabel("Tokens", { exact: true }).fill("24");
    await page.getByRole("button", { name: "Write", exact: true }).click();
    await page.getByText("24 tokens").waitFor();
    const tokens = page.locator(".tokens .token");
    const before = await tokens.allTextContents();
    expect(before).toHaveLength(24);

    await page.getByRole("listbox").press("Home");
    for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowRight");
    await page.getByText("Token 6", { exact: false }).waitFor();
    await page.keyboard.press("Enter");
    await page.keyboard.press("ArrowDown");
    const chosen = (await page.evaluate("document.activeElement.getAttribute('aria-label')")) as string;
    expect(chosen).toMatch(/%: write on/);
    await page.keyboard.press("Enter");
    await page.getByText("2 texts").waitFor();
    await page.getByText("30 tokens").waitFor();
    const branched = await tokens.allTextContents();
    expect(branched.slice(0, 5)).toEqual(before.slice(0, 5));
    expect(await tokens.nth(5).getAttribute("class")).toContain("own");

    await page.getByRole("button", { name: /^Text 1/ }).click();
    await page.getByText("24 tokens").waitFor();
    expect(await tokens.allTextContents()).toEqual(before);
    await page.reload();
    await page.getByText("24 tokens").waitFor();
    expect(await tokens.allTextContents()).toEqual(before);
  });

  it("writes the same with two equal columns, and another text with another temperature", async () => {
    const page = await openPage("/playground?run=first");
    await page.getByLabel("Prompt").fill("The ");
    await page.getByLabel("Tokens", { exact: true }).fill("30");
    await page.getByLabel("Two side by side").check();
    await page.getByRole("button", { name: "Write", exact: true }).click();
    const [left, right] = [page.locator(".column").nth(0), page.locator(".column").nth(1)];
    await right.getByText("30 tokens").waitFor();
    expect(await right.locator(".tokens").textContent()).toBe(await left.locator(".tokens").textContent());
    await right.getByRole("slider", { name: /Temperature/ }).press("End");
    await page.getByRole("button", { name: "Write", exact: true }).click();
    await right.getByText("2 texts").waitFor();
    await right.getByText("30 tokens").waitFor();
    expect(await right.locator(".tokens").textContent()).not.toBe(await left.locator(".tokens").textContent());
  });

  it("measures a pasted text", async () => {
    const page = await openPage("/playground?tab=score&run=first");
    await page.getByRole("textbox", { name: "Text", exact: true }).fill("The cat sat.");
    await page.getByRole("button", { name: "Measure" }).click();
    await page.getByText("Bits per byte").waitFor();
    const { body } = await server.get<{ models: { key: string; name: string; weights: string }[] }>("models");
    const model = body.models.find(({ name, weights }) => name === "first" && weights === "best")?.key;
    const scored = await server.post<{ bitsPerByte: number }>("score", { model, text: "The cat sat." });
    expect(await page.locator(".figure-value").first().textContent()).toBe(scored.body.bitsPerByte.toFixed(4));
    await page.locator(".tokens .token").nth(3).click();
    expect(await page.locator(".candidates li").count()).toBeGreaterThan(5);
  });

  it("shows names of runs and texts of models as text, whatever they say", async () => {
    const hostile = `<img src=x onerror=alert(1)>`;
    await runToEnd("to-rename", 8);
    const sample = { v: 1, type: "sample", step: 8, prompt: "<b>", text: `</p><script>alert(2)</script>` };
    await appendFile(server.path("runs", "to-rename", "metrics.jsonl"), `${JSON.stringify(sample)}\n`);
    await rename(server.path("runs", "to-rename"), server.path("runs", hostile));
    const list = await openPage("/runs");
    await list.getByRole("link", { name: hostile, exact: true }).click();
    await list.getByRole("heading", { name: hostile }).waitFor();
    await list.getByText("</p><script>alert(2)</script>").waitFor();
    expect(await list.locator("main img, main script, .samples b").count()).toBe(0);
    expect(await list.title()).toBe(`${hostile} · Foretoken studio`);
    await list.goto(new URL(`/compare?${new URLSearchParams({ runs: `${hostile},first` })}`, server.address()).href);
    await list.getByRole("link", { name: hostile, exact: true }).waitFor();
    expect(await list.locator("main img").count()).toBe(0);
  });

  it("keeps the switch to dark over a reload", async () => {
    const page = await openPage("/runs");
    const ground = () => page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
    const light = await ground();
    await page.getByRole("button", { name: /^Theme/ }).click();
    await page.getByRole("button", { name: /^Theme/ }).click();
    const dark = await ground();
    expect(dark).not.toBe(light);
    await page.reload();
    expect(await ground()).toBe(dark);
  });

  const views = [
    ["the list", "/runs", "table.runs"],
    ["a finished run", "/runs/first", ".chart-340 canvas"],
    ["a failed run", "/runs/broken", "[role=alert]"],
    ["a run that is not there", "/runs/nothing", "[role=alert]"],
    ["a comparison", "/compare?runs=first,second", "table.differences"],
    ["a new run", "/new", ".fields .field"],
    ["the playground", "/playground?run=first", "optgroup"],
    ["the measure of a text", "/playground?tab=score&run=first", "optgroup"],
    ["an address without a view", "/nowhere", "h1"],
  ] as const;

  it.each(views)("has nothing serious against %s: axe, light, dark and narrow", async (_, path, ready) => {
    for (const options of [{}, { colorScheme: "dark" }, { width: 360 }] as const) {
      const page = await openPage(path, options);
      await page.locator(ready).first().waitFor({ state: "attached" });
      await page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true");
      expect(await violationsOf(page)).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBeLessThanOrEqual(0);
    }
  });
});
