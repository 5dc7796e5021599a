import { describe, expect, it } from "vitest";
import { missingChromium } from "../browser/chromium.ts";
import { useStudio } from "../serve/studio.ts";
import { useServer } from "../support/openai-server.ts";
import { expectNothingSerious, usePages } from "./page.ts";

const served = useServer();
const server = {
  get url() {
    return served.url();
  },
  state: () => served.state(),
};
const studio = useStudio({ server });
const plain = useStudio();

describe.skipIf(missingChromium !== undefined)("the page of the server for other programs", () => {
  const open = missingChromium === undefined ? usePages(studio.address) : undefined;
  const openPlain = missingChromium === undefined ? usePages(plain.address) : undefined;
  const openPage: NonNullable<typeof open> = (...given) => {
    if (open === undefined) throw new Error("no chromium");
    return open(...given);
  };

  it("counts answered and refused requests apart, and lists them without their prompts", async () => {
    const page = await openPage("/server");
    const figure = (label: string) => page.locator(".figure").filter({ has: page.getByText(label, { exact: true }) });
    await page.getByText("No request has ended yet.").waitFor();
    const asked = { model: "talk", messages: [{ role: "user", content: "who are you?" }], max_tokens: 5 };
    await served.post("/v1/chat/completions", asked);
    const { usage } = (await served.post("/v1/chat/completions", asked)).body;
    await served.post("/v1/chat/completions", { ...asked, model: "gpt-4o" });
    const rows = page.locator(".last-requests tbody tr");
    await rows.nth(2).waitFor();
    await expect.poll(() => figure("Running").locator(".figure-value").textContent()).toBe("0");
    await expect.poll(() => figure("Answered").locator(".figure-value").textContent()).toBe("2");
    await expect.poll(() => figure("Not answered").textContent()).toBe("Not answered11 refused");
    await expect
      .poll(() => figure("Whole request").locator(".figure-note").textContent())
      .toMatch(/^median of 2, longest /u);
    await expect.poll(() => rows.nth(0).textContent()).toMatch(/Refused404, model not found/u);
    await expect
      .poll(() => rows.nth(1).textContent())
      .toMatch(
        new RegExp(`talk/v1/chat/completions.*Answered200${usage.prompt_tokens}${usage.completion_tokens}.*ms$`, "u"),
      );
    expect(await page.locator("main").textContent()).not.toContain("who are you");
  });

  it("is readable when it is dark or narrow", async () => {
    const page = await openPage("/server");
    await expectNothingSerious(page, () => page.locator(".last-requests").waitFor());
  });

  it("is in the row of views, whose edge fades where there is more", async () => {
    const page = await openPage("/runs", { width: 360 });
    const edges = () => page.locator(".head nav").getAttribute("data-more");
    await page.locator(".head nav[data-more=right]").waitFor();
    await page.locator(".head nav").evaluate((row) => row.scrollTo(row.scrollWidth, 0));
    await page.locator(".head nav[data-more=left]").waitFor();
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.locator(".head nav[data-more='']").waitFor();
    await expect.poll(() => edges()).toBe("");
  });

  it("says how to start a server where none runs", async () => {
    const page = await openPlain?.("/server");
    await page?.locator(".command").getByText("npx foretoken studio --serve MODEL").waitFor();
    await expect.poll(() => page?.locator("[role=alert]").count()).toBe(0);
  });
});
