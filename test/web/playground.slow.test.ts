import { beforeAll, describe, expect, it } from "vitest";
import { missingChromium } from "../browser/chromium.ts";
import { violationsOf } from "./page.ts";
import { useStudioPages } from "./studio-pages.ts";

const { server, openPage, runToEnd } = useStudioPages();

describe.skipIf(missingChromium !== undefined)("the playground", () => {
  beforeAll(async () => {
    await runToEnd("first", 40);
    await runToEnd("second", 24, { learningRate: 0.03 });
  }, 600_000);

  it.each([1280, 800, 390])(
    "has its text in view, Write at the prompt, and its settings folded: %i pixels",
    async (width) => {
      const page = await openPage("/playground?run=first", { width });
      const textTop = async () => (await page.locator(".written-box").boundingBox())?.y;
      await expect.poll(textTop).toBeLessThan(width === 1280 ? 400 : 700);
      const fromPrompt = async () => {
        const prompt = await page.getByLabel("Prompt").boundingBox();
        const write = await page.getByRole("button", { name: "Write", exact: true }).boundingBox();
        if (prompt === null || write === null) return undefined;
        return { x: write.x - prompt.x, isNear: write.y - prompt.y - prompt.height < 20 };
      };
      await expect.poll(fromPrompt).toEqual({ x: 0, isNear: true });
      const slider = page.getByRole("slider", { name: /Temperature/ });
      await expect.poll(() => slider.isVisible()).toBe(false);
      await page.getByText("temperature 0.8, top-k 40").click();
      await slider.press("Home");
      await page.getByText("temperature 0, top-k 40").waitFor();
    },
  );

  it("says how the chosen display shows probabilities, and what to point at when there is a token", async () => {
    const page = await openPage("/playground?run=first");
    await page.getByText("Less probable tokens have a stronger shade.", { exact: false }).waitFor();
    await page.getByLabel("Prompt").fill("The ");
    await page.getByLabel("Tokens", { exact: true }).fill("5");
    await page.getByRole("button", { name: "Write", exact: true }).click();
    await page.getByText("5 tokens").waitFor();
    await page.getByText("Underline", { exact: true }).click();
    await page.getByLabel("Side by side").check();
    const [left, right] = [page.locator(".column").nth(0), page.locator(".column").nth(1)];
    await right.getByText("Less probable tokens have a heavier underline.", { exact: false }).waitFor();
    await page.getByText("Bits", { exact: true }).click();
    await right.getByText("Each token stands above its surprise, in bits.", { exact: false }).waitFor();
    await expect.poll(() => left.getByText("Point at a token").count()).toBe(1);
    await expect.poll(() => right.getByText("Point at a token").count()).toBe(0);
    await page.getByText("Shade", { exact: true }).click();
    const topOf = (text: string) => page.locator(text).evaluate((one) => one.getBoundingClientRect().top);
    await expect.poll(async () => (await topOf(".column .text-to-come")) - (await topOf(".column .written"))).toBe(0);
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
    await expect.poll(async () => (await tokens.allTextContents()).slice(0, 5)).toEqual(before.slice(0, 5));
    await expect.poll(() => tokens.nth(5).getAttribute("class")).toContain("own");

    await page.getByRole("button", { name: /^Text 1/ }).click();
    await page.getByText("24 tokens").waitFor();
    await expect.poll(() => tokens.allTextContents()).toEqual(before);
    await page.getByLabel("Prompt").fill("ж");
    await page.getByRole("button", { name: "Write", exact: true }).click();
    await page.getByText("The model never saw this character", { exact: false }).waitFor();
    await expect.poll(() => page.locator(".branch").count()).toBe(2);
    await page.getByRole("button", { name: /^Text 1/ }).click();
    await page.getByText("24 tokens").waitFor();
    await page.reload();
    await page.getByText("24 tokens").waitFor();
    await expect.poll(() => tokens.allTextContents()).toEqual(before);
  });

  it("writes a text of a form, and says at its field what is wrong with one", async () => {
    const page = await openPage("/playground?run=first");
    await page.getByLabel("Prompt").fill("The ");
    await page.locator("summary", { hasText: "Form" }).click();
    await page.getByLabel("Form", { exact: true }).selectOption("choice");
    const write = page.getByRole("button", { name: "Write", exact: true });
    await expect.poll(() => write.isDisabled()).toBe(true);
    await page.getByLabel("Texts, one per line").fill("the mat\nthe cat");
    await page.getByLabel("Guess repeated words").check();
    await write.click();
    await page.getByText("The form is complete.").waitFor();
    await expect.poll(() => page.locator(".tokens").textContent()).toMatch(/^the [mc]at$/u);
    await page.getByLabel("Form", { exact: true }).selectOption("regex");
    await page.getByRole("textbox", { name: "Regular expression" }).fill("(?=a)");
    await write.click();
    await page.getByRole("alert").getByText("got a lookahead").waitFor();
    await expect.poll(() => violationsOf(page)).toEqual([]);
    await page.reload();
    // A form with a field is unfolded.
    await page.getByRole("textbox", { name: "Regular expression" }).waitFor();
    await expect.poll(() => page.getByRole("textbox", { name: "Regular expression" }).inputValue()).toBe("(?=a)");
  });

  it("writes the same with two equal columns, and another text with another temperature", async () => {
    const page = await openPage("/playground?run=first");
    await page.getByLabel("Prompt").fill("The ");
    await page.getByLabel("Tokens", { exact: true }).fill("30");
    await page.getByLabel("Side by side").check();
    // The page begins with the model of another run.
    const models = page.locator(".column select");
    await expect.poll(() => models.nth(1).inputValue(), { timeout: 30_000 }).toMatch(/^runs\/(?!first\/)/);
    const model = await models.nth(0).inputValue();
    expect(model).toMatch(/^runs\/first\//);
    await models.nth(1).selectOption(model);
    await page.getByRole("button", { name: "Write", exact: true }).click();
    const [left, right] = [page.locator(".column").nth(0), page.locator(".column").nth(1)];
    const isSame = async () =>
      (await right.locator(".tokens").textContent()) === (await left.locator(".tokens").textContent());
    await right.getByText("30 tokens").waitFor();
    await expect.poll(isSame).toBe(true);
    await right.getByText("Sampling").click();
    await right.getByRole("slider", { name: /Temperature/ }).press("End");
    await page.getByRole("button", { name: "Write", exact: true }).click();
    await right.getByText("2 texts").waitFor();
    await right.getByText("30 tokens").waitFor();
    await expect.poll(isSame).toBe(false);

    // If there is only one column, its list has the texts of both columns. The left text was generated twice, but the
    // list has it once.
    await page.getByLabel("Side by side").uncheck();
    await page.getByText("3 texts").waitFor();
    await expect
      .poll(() => page.locator(".branch").allTextContents())
      .toEqual(
        [1, 2, 3].map((n) => expect.stringMatching(new RegExp(`^Text ${n} .+ first: best, step \\d+, temperature`))),
      );
  });

  it("keeps the model that was chosen last, and knows the weights of a run that came meanwhile", async () => {
    const page = await openPage("/playground?run=first");
    const model = page.locator(".prompt-side select");
    await page.locator("optgroup[label=first]").waitFor({ state: "attached" });
    await expect.poll(() => model.inputValue()).toBe("runs/first/best");
    await model.selectOption("runs/second/last");
    await page.getByRole("link", { name: "Runs" }).first().click();
    await page.getByRole("link", { name: "Playground" }).click();
    await page.waitForURL("**/playground?model=runs%2Fsecond%2Flast");
    await runToEnd("later", 8);
    await page.locator("optgroup[label=later]").waitFor({ state: "attached" });
    await expect.poll(() => model.inputValue()).toBe("runs/second/last");
  });

  it("measures a pasted text", async () => {
    const page = await openPage("/playground?tab=score&run=first");
    await page.getByRole("textbox", { name: "Text", exact: true }).fill("The cat sat.");
    await page.getByRole("button", { name: "Measure" }).click();
    await page.getByText("Bits per byte").waitFor();
    const { body } = await server.get<{ models: { key: string; name: string; weights: string }[] }>("models");
    const model = body.models.find(({ name, weights }) => name === "first" && weights === "best")?.key;
    const scored = await server.post<{ bitsPerByte: number }>("score", { model, text: "The cat sat." });
    await expect
      .poll(() => page.locator(".figure-value").first().textContent())
      .toBe(scored.body.bitsPerByte.toFixed(4));
    // The model predicts 11 of the 12 characters.
    await page.getByText("mean of 11 predicted tokens").waitFor();
    await page.getByText("No figure counts the first token").waitFor();
    await page.locator(".tokens .token").nth(3).click();
    await expect.poll(() => page.locator(".candidates li").count()).toBeGreaterThan(5);
    await page.getByRole("textbox", { name: "Text", exact: true }).fill("The ж cat sat on a ж hat ф.");
    await page.getByRole("button", { name: "Measure" }).click();
    await page.getByText("these characters of the text: ж ф").waitFor();
    await page.getByRole("button", { name: "Measure the text without them" }).click();
    await page.getByText("3 characters were left out: ж ф").waitFor();
  });
});
