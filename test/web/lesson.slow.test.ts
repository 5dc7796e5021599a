import { describe, expect, it } from "vitest";
import { missingChromium } from "../browser/chromium.ts";
import { checkParts, giveOwnText, goTo, untilStep, useStaticLesson, walk } from "./lesson-pages.ts";
import { usePages } from "./page.ts";
import { useStudioPages } from "./studio-pages.ts";

const looks = [
  ["light", {}],
  ["dark", { colorScheme: "dark" }],
  ["360 px wide", { width: 360 }],
] as const;

describe.skipIf(missingChromium !== undefined)("the lesson in the studio", () => {
  const { openPage } = useStudioPages();

  it("is walked from the studio's views, with a text of one's own", async () => {
    const page = await openPage("/runs");
    await page.getByRole("link", { name: "Lesson", exact: true }).click();
    await expect.poll(() => page.evaluate("crossOriginIsolated")).toBe(true);
    await walk(page);
  });

  it("says in one line which text it needs, and keeps a text over a reload", async () => {
    const page = await openPage("/lesson");
    await page.getByText("My own", { exact: true }).click();
    await page.getByRole("textbox", { name: "Your own text" }).fill("too short");
    const line =
      "Your text must have at least 200 characters; got 9; try a page of a book, a letter, or the built-in text.";
    await page.getByRole("alert").getByText(line).waitFor();
    await goTo(page, "training");
    await page.getByRole("alert").getByText(line).waitFor();
    await giveOwnText(page);
    await goTo(page, "pairs");
    await page.reload();
    await page.getByText("Position 2 sees the and must predict ␣.", { exact: false }).waitFor();
  });

  it("draws a smooth curve without steps: not every point is at a whole pixel", async () => {
    const page = await openPage("/lesson");
    await page.addInitScript(() => {
      const heights: number[] = [];
      const lineTo = Path2D.prototype.lineTo;
      Path2D.prototype.lineTo = function (x, y) {
        heights.push(y);
        lineTo.call(this, x, y);
      };
      Object.assign(globalThis, { heights });
    });
    await page.goto(new URL("/lesson#/loss", page.url()).href);
    await page.reload();
    await page.locator(".chart-260 canvas").first().waitFor();
    await page.waitForFunction("heights.length > 300");
    await expect
      .poll(() => page.evaluate("heights.filter((y) => y % 1 !== 0).length / heights.length"))
      .toBeGreaterThan(0.5);
  });

  it("marks the slider's p in the chart, also after the window has changed its size", async () => {
    const page = await openPage("/lesson#/loss");
    const chart = page.getByRole("slider", { name: /^Loss of one guess/ });
    /** Distance in pixels from the cursor line to the p of 10 %. The axis reaches from 0.1 % to 100 %. */
    const offset = () =>
      page.evaluate(() => {
        const plot = document.querySelector(".u-over")?.getBoundingClientRect();
        const line = document.querySelector(".u-cursor-x")?.getBoundingClientRect();
        if (plot === undefined || line === undefined) throw new Error("no plot");
        return line.left - plot.left - (plot.width * (10 - 0.1)) / (100 - 0.1);
      });
    const sizes = [
      [1280, 900],
      [390, 844],
      [844, 390],
      [390, 844],
      [1280, 900],
    ] as const;
    let before = 0;
    for (const [width, height] of sizes) {
      await page.setViewportSize({ width, height });
      // The chart has the new size as soon as its canvas has another width.
      await page.waitForFunction((old) => (document.querySelector("canvas")?.width ?? old) !== old, before);
      before = Number(await page.locator("canvas").first().getAttribute("width"));
      // A wrong cursor would move the words in a later frame.
      await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
      await expect
        .poll(() => chart.getAttribute("aria-valuetext"))
        .toMatch(/^p of the right character 10\u00a0%: −ln p 2\.30, .*your p 2\.30$/u);
      await expect
        .poll(async () => ({ width, isNear: Math.abs(await offset()) <= 1.5 }))
        .toEqual({ width, isNear: true });
    }
    const heads = page.locator("table", { hasText: "Known losses" }).getByRole("columnheader");
    await expect
      .poll(async () => (await heads.allTextContents()).slice(2))
      .toEqual(["times the probability of guessing", "equal choices (perplexity)"]);
  });

  it("goes on after a reload from the step at which it was paused, in one tab at a time", async () => {
    const page = await openPage("/lesson");
    await giveOwnText(page);
    await goTo(page, "training");
    await page.getByRole("button", { name: "Start training" }).click();
    await page.getByText("Your browser keeps the trained model", { exact: false }).waitFor();
    await untilStep(page, 55);
    // The page was killed, not paused. So it resumes from the last state that it stored.
    await page.reload();
    await page.getByText("Paused: step 50 of 400", { exact: false }).waitFor();
    await page.getByText("after 50 steps", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Resume" }).click();
    await untilStep(page, 60);
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText("Paused: step", { exact: false }).waitFor();
    const paused = await page.locator(".controls progress").getAttribute("value");

    const other = await page.context().newPage();
    await other.goto(page.url());
    await other
      .getByText("only one tab at a time may use the store; got another tab that uses it; try closing that tab", {
        exact: false,
      })
      .waitFor();
    await other.close();
    await page.reload();
    await page.getByText(`Paused: step ${paused} of 400`, { exact: false }).waitFor();
    await page.getByRole("button", { name: "Start over" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete and start over" }).click();
    await page.getByText("Not begun: step 0 of 400", { exact: false }).waitFor();
    await page.reload();
    await page.getByText("Not begun: step 0 of 400", { exact: false }).waitFor();
  });

  it.each(looks)("has nothing serious against any part: axe, %s", async (_, options) => {
    const page = await openPage("/lesson", options);
    await checkParts(page);
  });
});

describe.skipIf(missingChromium !== undefined)("the lesson as static files of a server without headers", () => {
  const site = useStaticLesson();
  const openPage = missingChromium === undefined ? usePages(site.address) : undefined;

  it("is isolated by its service worker, walked with a text of one's own, and asks its host for files alone", async () => {
    const page = await openPage?.("");
    if (page === undefined) throw new Error("no chromium");
    await page.waitForFunction(() => crossOriginIsolated);
    await walk(page);
    await page.reload();
    await page.getByText("Your browser trains", { exact: false }).or(page.locator(".sequence")).first().waitFor();
    expect(site.asked.filter((one) => !one.startsWith("GET /lesson/"))).toEqual([]);
    // Every request is for a known file. So no address contains a part of the text.
    expect(site.asked.filter((one) => !/^GET \/lesson\/(?:assets\/)?[\w.-]*$/u.test(one))).toEqual([]);
  });

  it("trains on one thread, and says so, where the browser has no service workers", async () => {
    const page = await openPage?.("#/training", { serviceWorkers: "block" });
    if (page === undefined) throw new Error("no chromium");
    await page
      .getByText("on 1 thread; nothing is sent anywhere. This page cannot share memory", { exact: false })
      .waitFor();
    await page.getByRole("button", { name: "Start training" }).click();
    await untilStep(page, 2);
    await expect.poll(() => page.evaluate("crossOriginIsolated")).toBe(false);
  });
});
