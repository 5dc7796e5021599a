import { appendFile, readFile, rename } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { missingChromium } from "../browser/chromium.ts";
import { expectNothingSerious } from "./page.ts";
import { openFolds, untilStep, useStudioPages } from "./studio-pages.ts";

const { server, openPage, run, runToEnd } = useStudioPages();

describe.skipIf(missingChromium !== undefined)("the page", () => {
  beforeAll(async () => {
    await runToEnd("first", 40);
    await runToEnd("second", 24, { learningRate: 0.03 });
    await run("broken", 50, { learningRate: 1e30, warmupSteps: 0, maxGradNorm: 0 });
    await server.until("broken", ({ owner }) => owner === null);
  }, 600_000);

  it("shows samples along the run, by its slider and by keys", async () => {
    const page = await openPage("/runs/first");
    const slider = page.getByRole("slider", { name: "Sample" });
    const text = page.locator(".samples .written");
    await slider.waitFor();
    const last = await text.textContent();
    await slider.press("Home");
    await page.getByText("(1 of 10)").waitFor();
    await expect.poll(() => text.textContent()).not.toBe(last);
    await expect.poll(() => slider.getAttribute("aria-valuetext")).toBe("step 4, 1 of 10");
    await slider.press("ArrowRight");
    await page.getByText("(2 of 10)").waitFor();
    await page.reload();
    await page.getByText("(2 of 10)").waitFor();
  });

  it("shows the sample directly after the loss, and Extend moves the figures down", async () => {
    const page = await openPage("/runs/first", { width: 390 });
    const top = async (selector: string): Promise<number> => (await page.locator(selector).boundingBox())?.y ?? 0;
    await page.locator(".samples .written").waitFor();
    await untilStep(page, 40);
    await expect.poll(async () => (await top(".samples")) < (await top(".small-charts"))).toBe(true);
    await expect.poll(async () => (await top(".samples")) > (await top(".chart-340"))).toBe(true);
    const figures = await top(".headline");
    await page.getByRole("button", { name: "Extend" }).click();
    const endOfForm = async (): Promise<number> => {
      const form = await page.locator(".extend-form").boundingBox();
      return (form?.y ?? Number.NaN) + (form?.height ?? Number.NaN);
    };
    await expect.poll(async () => (await endOfForm()) < (await top(".headline"))).toBe(true);
    await expect.poll(() => top(".headline")).toBeGreaterThan(figures);
    await page.getByLabel("Total steps").press("Escape");
    await expect.poll(() => page.locator(".extend-form").count()).toBe(0);
  });

  it("breaks the lines of a command only between its words", async () => {
    const page = await openPage("/chat?run=first", { width: 390 });
    const command = page.locator(".command code").last();
    await command.waitFor();
    await expect.poll(() => command.textContent()).toMatch(/^npx foretoken train .* --lora\.rank 8$/);
    const words = await command
      .locator(".word")
      .evaluateAll((all) =>
        all.map((word) => ({ text: word.textContent, lines: word.getBoundingClientRect().height / 16 })),
      );
    const broken = words.filter(({ lines }) => lines > 2).map(({ text }) => text);
    // This word alone is longer than a line.
    expect(broken.filter((text) => !text?.startsWith("hf:"))).toEqual([]);
    expect(words.length).toBe(9);
  });

  it("tells the numbers at the cursor by keys", async () => {
    const page = await openPage("/runs/first");
    await untilStep(page, 40);
    const chart = page.getByRole("slider", { name: /^Loss/ });
    await chart.press("Home");
    const { body } = await server.get<{ steps: { loss: readonly number[] } }>("runs/first/series");
    await expect
      .poll(() => chart.getAttribute("aria-valuetext"))
      .toContain(`Steps 1: training ${body.steps.loss[0]?.toFixed(4)}`);
    for (let i = 0; i < 6; i++) await chart.press("ArrowRight");
    const seventh = `Steps 7: training ${body.steps.loss[6]?.toFixed(4)}`;
    await expect.poll(() => chart.getAttribute("aria-valuetext")).toContain(seventh);
    // A new plot keeps the cursor: with other scales, and after its first drawing.
    for (const scale of ["Log", "Linear"]) {
      await page.getByText(scale, { exact: true }).first().click();
      await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
      await expect.poll(() => chart.getAttribute("aria-valuetext")).toContain(seventh);
    }
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
    const rows = () => table.locator("tbody tr").allTextContents();
    await expect.poll(rows).toContain("Steps4024");
    await expect.poll(async () => (await rows()).some((row) => row.startsWith("Learning rate"))).toBe(true);
    expect((await rows()).some((row) => row.startsWith("Layers"))).toBe(false);
    await page.getByRole("slider", { name: /^Validation loss/ }).press("End");
    await expect
      .poll(() => page.locator(".chart-reading .reading-label").allTextContents())
      .toEqual(["first", "second"]);
    await page.reload();
    await table.waitFor();
  });

  it("sorts, filters and copies the list", async () => {
    const page = await openPage("/runs");
    const names = () => page.locator("table.runs .run-name").allTextContents();
    await page.getByRole("button", { name: "Steps" }).click();
    await expect.poll(async () => (await names()).at(-1)).toBe("first");
    await page.getByRole("searchbox").fill("finished second");
    await expect.poll(() => names()).toEqual(["second"]);
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
    await expect
      .poll(() => page.locator("[role=alert] b").textContent())
      .toMatch(/^The (?:loss|gradient) became \S+ at step \d+\.$/);
    await page.getByText("Details", { exact: true }).click();
    await page.getByText("must stay finite").waitFor();
    await expect
      .poll(() => page.locator("[role=alert] .command code").textContent())
      .toMatch(/^npx foretoken replay \S+$/);
    await page.getByRole("link", { name: "New run with these settings" }).click();
    await page.waitForURL("**/new");
    await expect.poll(() => page.getByLabel("Learning rate", { exact: true }).inputValue()).toBe("1e+30");
    await expect.poll(() => page.getByLabel("Steps", { exact: true }).inputValue()).toBe("50");
  });

  it("says what is wrong once, at its field and in its words, and marks the plan of the settings before", async () => {
    const page = await openPage("/new");
    await page.getByRole("textbox", { name: "Text", exact: true }).fill("The cat sat on the mat. ".repeat(200));
    await page.locator(".command-text").waitFor();
    await page.getByLabel("Name", { exact: true }).fill("first");
    const alerts = page.getByRole("alert");
    await alerts.filter({ hasText: /^Must be new/ }).waitFor();
    await expect.poll(() => page.getByText("Must be new").count()).toBe(1);
    const name = page.getByLabel("Name", { exact: true });
    await expect.poll(() => name.getAttribute("aria-invalid")).toBe("true");
    const described = (await name.getAttribute("aria-describedby")) ?? "";
    await expect.poll(() => page.locator(`#${described}`).textContent()).toMatch(/^Must be new/);
    await page.locator(".old-plan").waitFor();
    await page.getByLabel("Name", { exact: true }).fill("first-again");
    await page.locator(".old-plan").waitFor({ state: "detached" });
    await page.locator(".command-text", { hasText: "first-again" }).waitFor();
    await openFolds(page);
    await page.getByLabel("Width", { exact: true }).fill("50");
    await page.getByLabel("Heads", { exact: true }).fill("3");
    await alerts.filter({ hasText: "Must be divisible by “Heads”" }).waitFor();
    await expect.poll(() => alerts.count()).toBe(1);
    await page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = false");
    await page.getByRole("button", { name: "“Width”" }).click();
    await expect.poll(() => page.evaluate("document.activeElement.id")).toBe("field-model.nEmbd");
    await page.getByRole("button", { name: "Take back Width" }).click();
    await page.getByRole("button", { name: "Take back Heads" }).click();
    await alerts.waitFor({ state: "detached" });
    await page.getByRole("textbox", { name: "Text", exact: true }).fill("The cat");
    await alerts.filter({ hasText: "Too short" }).waitFor();
    await expect.poll(() => alerts.textContent()).not.toContain("valFraction");
    await openFolds(page);
    await page.getByLabel("Name", { exact: true }).fill("a/b c");
    await page.getByLabel("Steps", { exact: true }).fill("0");
    await page.getByLabel("Seed", { exact: true }).fill("1.5");
    await alerts.nth(3).waitFor();
    await expect
      .poll(() => page.locator(".wrong-place").textContent())
      .toBe("No plan yet. Correct “Text”, “Name”, “Steps” and “Seed”.");
  });

  it("begins a new run with its text, and then says what will happen", async () => {
    const page = await openPage("/new", { width: 390 });
    await page.getByText("Choose a text.", { exact: true }).waitFor();
    await expect.poll(() => page.getByLabel("Steps", { exact: true }).isVisible()).toBe(false);
    await page.getByRole("radio", { name: "Moby-Dick" }).check();
    const plan = page.getByRole("complementary", { name: "Plan" });
    await plan.getByText("characters to learn from", { exact: false }).waitFor();
    await expect
      .poll(() => plan.locator(".facts").textContent())
      .toMatch(/parameters in \d+ layers.*read the text about [\d.]+ times.*with these settings, ended near 1\.\d\./u);
    await plan.getByText(/^about \d+ (s|min|h)/u).waitFor();
    await expect.poll(() => page.getByLabel("Steps", { exact: true }).isVisible()).toBe(true);
    await expect.poll(() => page.getByLabel("Layers", { exact: true }).isVisible()).toBe(false);
    await page.reload();
    await expect.poll(() => page.getByRole("radio", { name: "Moby-Dick" }).isChecked()).toBe(true);
  });

  it("takes a file's text as the commands do, for a new run and for the lesson", async () => {
    const page = await openPage("/new");
    const windows = {
      name: "windows.txt",
      mimeType: "text/plain",
      buffer: Buffer.from("The cat\r\nsat.\r\n".repeat(20)),
    };
    const foreign = { ...windows, name: "foreign.txt", buffer: Buffer.from([0x47, 0x72, 0xfc, 0xdf]) };
    await page.getByLabel("Open a file").setInputFiles(windows);
    await page.getByText("260 characters from windows.txt").waitFor();
    await page.getByLabel("Open a file").setInputFiles(foreign);
    await page.getByText("foreign.txt is not UTF-8 text", { exact: false }).waitFor();
    await page.getByText("260 characters from windows.txt").waitFor();
    await page.goto(new URL("/lesson", page.url()).href);
    await page.getByText("My own", { exact: true }).click();
    await page.getByLabel("Open a file").setInputFiles(foreign);
    await page.getByText("foreign.txt is not UTF-8 text", { exact: false }).waitFor();
    await page.getByLabel("Open a file").setInputFiles(windows);
    await page.getByText("260 characters.", { exact: false }).waitFor();
    await expect.poll(() => page.getByText("is not UTF-8 text", { exact: false }).count()).toBe(0);
  });

  it("does a view's main action by Ctrl+Enter in any of its fields", async () => {
    const page = await openPage("/playground?run=first");
    await page.getByLabel("Prompt").fill("The ");
    await page.locator("button[type=submit]:enabled").waitFor();
    await page.getByLabel("Tokens", { exact: true }).fill("7");
    await page.keyboard.press("Control+Enter");
    await page.getByText("7 tokens").waitFor();
    await page.locator("button[type=submit]:enabled").waitFor();
    await page.getByLabel("Seed").fill("3");
    await page.keyboard.press("Control+Enter");
    await page.getByRole("button", { name: /^Text 2/ }).waitFor();
    await page.getByText("2 texts").waitFor();
    await page.getByText("temperature 0.8, seed 3").waitFor();
    // During the writing, the button has the label "Stop".
    await page.locator("button[type=submit]:enabled").waitFor();
    // The seed differs, because a text that is already in the list is not listed again.
    await page.getByLabel("Seed").fill("4");
    await page.getByText("Sampling").click();
    await page.getByRole("slider", { name: /Top-k/ }).press("Control+Enter");
    await page.getByText("3 texts").waitFor();
    await page.goto(new URL("/new", page.url()).href);
    await page.getByRole("textbox", { name: "Text", exact: true }).fill("The cat sat on the mat. ".repeat(200));
    await openFolds(page);
    for (const [label, value] of [
      ["Steps", "8"],
      ["Layers", "1"],
      ["Width", "8"],
      ["Name", "by-keys"],
    ] as const)
      await page.getByLabel(label, { exact: true }).fill(value);
    await page.locator(".command-text", { hasText: "by-keys" }).waitFor();
    await page.getByLabel("Width", { exact: true }).press("Control+Enter");
    await page.waitForURL("**/runs/by-keys");
    await server.until("by-keys", ({ owner }) => owner === null);
    await page.goto(new URL("/inside?run=first", page.url()).href);
    // The page begins with a text of the run.
    await page.getByText("8 of at most 8 tokens").waitFor();
    await page.getByRole("textbox", { name: "Text", exact: true }).fill("The cat");
    await page.keyboard.press("Control+Enter");
    await page.getByText("7 of at most 8 tokens").waitFor();
    await page.goto(new URL("/lesson", page.url()).href);
    await page.getByText("My own", { exact: true }).click();
    await page.getByRole("textbox", { name: "Your own text" }).fill("The cat sat on the mat. ".repeat(20));
    await page.keyboard.press("Control+Enter");
    await page.waitForURL("**/lesson#/pairs");
  });

  it("has the place and the tab that are shown in view on a narrow screen, in one line each", async () => {
    const page = await openPage("/lesson", { width: 340 });
    const isIn = (row: string, chosen: string) =>
      page.evaluate(
        ([outer, inner]) => {
          const [box, one] = [document.querySelector(outer), document.querySelector(`${outer} ${inner}`)];
          if (box === null || one === null) return "missing";
          const [a, b] = [box.getBoundingClientRect(), one.getBoundingClientRect()];
          return b.left >= a.left - 1 && b.right <= a.right + 1 && a.height < 2 * b.height;
        },
        [row, chosen] as const,
      );
    await page.locator(".lesson").waitFor();
    await expect.poll(() => isIn(".head nav", "[aria-current]")).toBe(true);
    await page.goto(new URL("/inside?run=first&view=patching", page.url()).href);
    await page.locator(".segment.chosen").waitFor();
    await expect.poll(() => isIn(".segments", ".chosen")).toBe(true);
    await page.getByRole("link", { name: "Runs" }).click();
    await page.locator("table.runs").waitFor();
    await expect.poll(() => isIn(".head nav", "[aria-current]")).toBe(true);
  });

  it("offers a run that ended early its planned end", async () => {
    await runToEnd("impatient", 60, { patience: 1, learningRate: 1e-12 });
    const page = await openPage("/runs/impatient");
    await page.getByText("1 evaluation did not improve the validation loss", { exact: false }).waitFor();
    await page.getByText("Extend", { exact: true }).click();
    await expect.poll(() => page.getByLabel("Total steps").inputValue()).toBe("60");
    await page.getByText("The run ends early after 1 evaluation", { exact: false }).waitFor();
    const { step } = await server.summary("impatient");
    await page.getByRole("button", { name: "Continue to step 60" }).click();
    await page.waitForFunction(
      (last) => Number(document.querySelector(".chart-340")?.getAttribute("aria-valuemax")) > last,
      step,
    );
    // The next test begins another run.
    await server.until("impatient", ({ owner }) => owner === null);
  });

  it("shows names of runs and texts of models as text, whatever they say", async () => {
    const hostile = `<img src=x onerror=alert(1)>, 5%`;
    await runToEnd("to-rename", 8);
    const sample = { v: 1, type: "sample", step: 8, prompt: "<b>", text: `</p><script>alert(2)</script>` };
    await appendFile(server.path("runs", "to-rename", "metrics.jsonl"), `${JSON.stringify(sample)}\n`);
    await rename(server.path("runs", "to-rename"), server.path("runs", hostile));
    const list = await openPage("/runs");
    await list.getByRole("link", { name: hostile, exact: true }).click();
    await list.getByRole("heading", { name: hostile }).waitFor();
    await list.getByText("</p><script>alert(2)</script>").waitFor();
    expect(await list.locator("main img, main script, .samples b").count()).toBe(0);
    await expect.poll(() => list.title()).toBe(`${hostile} · Foretoken studio`);
    await list.getByRole("link", { name: "Runs" }).first().click();
    for (const name of [hostile, "first"]) await list.getByLabel(`Compare ${name}`).check();
    await list.getByRole("link", { name: "Compare 2 runs" }).click();
    await list.locator("table.differences").waitFor();
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
    await expect.poll(() => ground()).toBe(dark);
  });

  it("says in plain words that there is no such run", async () => {
    const page = await openPage("/runs/nothing");
    await page.getByRole("alert").getByText("There is no run named “nothing”.", { exact: true }).waitFor();
    await page.getByRole("link", { name: "All runs" }).waitFor();
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
    const page = await openPage(path);
    await expectNothingSerious(page, async () => {
      await page.locator(ready).first().waitFor({ state: "attached" });
      await openFolds(page);
    });
  });
});
