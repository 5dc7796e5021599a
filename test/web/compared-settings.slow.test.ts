import { beforeAll, describe, expect, it } from "vitest";
import { missingChromium } from "../browser/chromium.ts";
import { expectNothingSerious } from "./page.ts";
import { useStudioPages } from "./studio-pages.ts";

const { openPage, runToEnd } = useStudioPages();

describe.skipIf(missingChromium !== undefined)("a comparison of settings with several seeds", () => {
  beforeAll(async () => {
    for (const seed of [1, 2]) {
      await runToEnd(`slow-${seed}`, 8, { learningRate: 0.01, seed });
      await runToEnd(`fast-${seed}`, 8, { learningRate: 0.03, seed });
    }
  }, 600_000);

  it("shows each run, and the interval of the difference", async () => {
    const page = await openPage("/compare?runs=slow-1,slow-2,fast-1,fast-2");
    const table = page.locator("table.settings");
    // The runs are loaded one after the other. Before the last one is there, they are not paired.
    await page.getByText("Runs with the same seed are paired.").waitFor();
    await expect
      .poll(() => table.locator("tbody th").allTextContents())
      .toEqual(["Learning rate 0.01", "Learning rate 0.03"]);
    const cells = table.locator("tbody tr").nth(1).locator("td");
    await expect.poll(() => cells.nth(1).textContent()).toMatch(/^[+−]\d+\.\d{4} ± \d+\.\d{4}$/u);
    await expect.poll(() => table.locator("circle").count()).toBe(4);
    await expect.poll(() => table.locator(".interval").count()).toBe(1);
    await expectNothingSerious(page, () => table.waitFor());
  });

  it("is not there for one run of each", async () => {
    const page = await openPage("/compare?runs=slow-1,fast-1");
    await page.locator("table.differences").waitFor();
    await expect.poll(() => page.locator("table.settings").count()).toBe(0);
  });
});
