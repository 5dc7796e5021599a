import { describe, expect, it } from "vitest";
import { missingChromium } from "../browser/chromium.ts";
import { goTo, untilStep } from "./lesson-pages.ts";
import { useStudioPages } from "./studio-pages.ts";

describe.skipIf(missingChromium !== undefined)("the race of the lesson, on the built-in text", () => {
  const { openPage } = useStudioPages();

  it("ends as the terminal's: the cheater's loss has collapsed, and its text is worthless", async () => {
    const page = await openPage("/lesson#/mask");
    await page.getByText("Off", { exact: true }).click();
    // Without the mask, position 0 sees its answer one position later.
    await expect.poll(() => page.locator(".sight .answer").first().textContent()).toBe("a");
    await page.getByRole("button", { name: "Start the race" }).click();
    await untilStep(page, 1);
    // The race continues while another part is open.
    await goTo(page, "pairs");
    await goTo(page, "mask");
    page.setDefaultTimeout(500_000);
    await page.getByRole("heading", { name: "How it ended" }).waitFor();
    const told = (await page.locator(".result").textContent()) ?? "";
    const [, honest, cheater] = /is ([\d.]+) nats with the mask and ([\d.]+) without/u.exec(told) ?? [];
    expect(Number(cheater)).toBeLessThan(0.3);
    expect(Number(honest)).toBeGreaterThan(1.5);
    expect(told).toContain("it has learned nothing");
    const chart = page.getByRole("slider", { name: /^Loss/ });
    await expect
      .poll(() => chart.getAttribute("aria-valuetext"))
      .toContain(`recent mean: with the mask ${honest}, without a mask ${cheater}, `);
    const [withMask = [], without = []] = await Promise.all(
      [0, 1].map(async (i) => page.locator("table").last().locator("tbody tr").nth(i).locator("td").allTextContents()),
    );
    // The loss of guessing is ln 70 = 4.25. If the model without the mask cannot look ahead, its loss is higher.
    expect(Number(without[2])).toBeGreaterThan(4.25);
    expect(Number(withMask[2])).toBeLessThan(2.2);
    const known = (cell: string | undefined) => Number(/^(\d+) of/u.exec(cell ?? "")?.[1] ?? 0);
    expect(known(withMask[3])).toBeGreaterThan(10);
    expect(known(without[3])).toBeLessThan(3);
  });
});
