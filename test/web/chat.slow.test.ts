import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Studio, startStudio } from "#foretoken/serve/studio/start.js";
import { train } from "#foretoken/worker/train.node.js";
import { missingChromium } from "../browser/chromium.ts";
import { catText, smallRun } from "../serve/studio.ts";
import { writeChatModel } from "../support/chats.ts";
import { expectNothingSerious, usePages } from "./page.ts";

const backend = { backend: "wasm", threads: 1 } as const;
let folder = "";
let studio: Studio | undefined;
const openPage =
  missingChromium === undefined ? usePages(() => studio?.url ?? "") : () => Promise.reject(new Error("no chromium"));

const model = (name: string): string => `models/${join(folder, name)}`;
/** The address of a chat with greedy sampling. With greedy sampling, each answer is known. */
const at = (query: Readonly<Record<string, string>> = {}): string =>
  `/chat?${new URLSearchParams({ model: model("talker"), temperature: "0", tokens: "6", ...query })}`;

const box = (page: Page) => page.getByLabel("Message", { exact: true });
/** Waits until the model has generated all requested texts. */
const idle = (page: Page) => page.getByRole("button", { name: "Send", exact: true }).waitFor();
const say = async (page: Page, text: string): Promise<void> => {
  await box(page).fill(text);
  await box(page).press("Enter");
  // Sending the message empties the box. After that, the page has a button to stop.
  await page.waitForFunction(() => document.querySelector<HTMLTextAreaElement>("#chat-message")?.value === "");
  await idle(page);
};
const saidTexts = (page: Page) => page.locator(".said-text").allTextContents();
const answers = (page: Page) => page.locator(".answer-text").allTextContents();
const copied = (page: Page) => page.evaluate("navigator.clipboard.readText()") as Promise<string>;
const version = (page: Page, words: string) => page.locator(".versions").getByText(words, { exact: true }).waitFor();

describe.skipIf(missingChromium !== undefined)("a chat", () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "foretoken-chat-page-"));
    for (const name of ["talker", "other"]) await writeChatModel(join(folder, name));
    const { config } = smallRun("", 4);
    const out = join(folder, "runs", "a");
    for await (const event of train({ text: catText, out, config: config as object, ...backend }))
      expect(event.v).toBe(1);
    const models = ["talker", "other"].map((name) => join(folder, name));
    studio = await startStudio({ folder: join(folder, "runs"), port: 0, models, ...backend });
  }, 600_000);
  afterAll(async () => {
    await studio?.close();
    await rm(folder, { recursive: true });
  });

  it("answers messages, copies an answer and the conversation, and keeps them over a reload", async () => {
    const page = await openPage(at({ system: "Sing" }));
    await box(page).fill("Hi");
    await box(page).press("Shift+Enter");
    await page.keyboard.type("who?");
    await page.keyboard.press("Enter");
    await page.locator(".said-text").waitFor();
    await idle(page);
    await expect.poll(() => box(page).inputValue()).toBe("");
    await say(page, "why");
    await expect.poll(() => saidTexts(page)).toEqual(["Hi\nwho?", "why"]);
    const written = await answers(page);
    expect(written).toHaveLength(2);
    await page.getByRole("button", { name: "Copy", exact: true }).first().click();
    await page.getByText("Copied").waitFor();
    await expect.poll(() => copied(page)).toBe(written[0]);
    await page.getByText("Copied").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Copy as JSON" }).click();
    await page.getByText("Copied").waitFor();
    await expect
      .poll(async () => JSON.parse(await copied(page)))
      .toEqual({
        messages: [
          { role: "system", content: "Sing" },
          { role: "user", content: "Hi\nwho?" },
          { role: "assistant", content: written[0] },
          { role: "user", content: "why" },
          { role: "assistant", content: written[1] },
        ],
      });
    await page.reload();
    await page.locator(".answer-text").nth(1).waitFor();
    await expect.poll(() => answers(page)).toEqual(written);
    await page.getByRole("button", { name: "New conversation" }).click();
    await page.getByText("Write a message below").waitFor();
    await page.getByText("1 earlier conversation").click();
    await page.getByRole("button", { name: "Hi who? 4 messages" }).click();
    await page.locator(".answer-text").nth(1).waitFor();
    await page.getByRole("button", { name: "Clear conversations" }).click();
    await page.getByText("Write a message below").waitFor();
    await expect.poll(() => page.locator(".earlier").count()).toBe(0);
  });

  it.each([
    ["at the side of its settings", {}, { width: 1280 }],
    ["below its settings", {}, { width: 800 }],
    ["on a phone", {}, { width: 390 }],
    ["on a phone, dark", {}, { width: 390, colorScheme: "dark" }],
    ["with two models", { with: "other" }, { width: 1280 }],
  ] as const)(
    "has its box at the lower edge of the window, and does not scroll while it is empty: %s",
    async (_, { with: other = "" }: { readonly with?: string }, options) => {
      const page = await openPage(at(other === "" ? {} : { with: model(other) }), options);
      await page.locator(".no-messages").first().waitFor();
      const bottom = () =>
        page.evaluate(() => innerHeight - (document.querySelector(".composer")?.getBoundingClientRect().bottom ?? 0));
      const beyond = () => page.evaluate(() => document.documentElement.scrollHeight - innerHeight);
      await page.locator(".foot .mono").waitFor();
      await expect.poll(() => beyond()).toBe(0);
      // One or two lines about the studio are below the box.
      await expect.poll(() => bottom()).toBeGreaterThanOrEqual(0);
      await expect.poll(() => bottom()).toBeLessThan(80);
      await say(page, "Hi\n".repeat(60));
      await expect.poll(() => beyond()).toBeGreaterThan(0);
      await page.evaluate(() => scrollTo(0, 0));
      await expect.poll(() => bottom()).toBe(0);
    },
  );

  it("branches at another answer and at another wording, and goes between the branches by keys", async () => {
    const page = await openPage(at({ temperature: "1.5" }));
    await say(page, "Hi");
    const [first] = await answers(page);
    await say(page, "why");
    await page.getByRole("button", { name: "Another answer" }).first().click();
    await version(page, "2 of 2");
    await idle(page);
    const [second] = await answers(page);
    expect(second).not.toBe(first);
    // The messages after the first answer belong to the branch of this answer.
    await expect.poll(() => saidTexts(page)).toEqual(["Hi"]);
    await page.getByRole("button", { name: "Version before" }).focus();
    await page.keyboard.press("Enter");
    await version(page, "1 of 2");
    await expect.poll(() => saidTexts(page)).toEqual(["Hi", "why"]);
    await expect.poll(async () => (await answers(page))[0]).toBe(first);

    await page.getByRole("button", { name: "Edit" }).last().press("Enter");
    await page.getByLabel("Your message, changed").press("Escape");
    await expect.poll(() => saidTexts(page)).toEqual(["Hi", "why"]);
    await page.getByRole("button", { name: "Edit" }).last().press("Enter");
    await page.getByLabel("Your message, changed").fill("who");
    await page.keyboard.press("Enter");
    await page.locator(".said .versions").waitFor();
    await idle(page);
    await expect.poll(() => saidTexts(page)).toEqual(["Hi", "who"]);
    await expect.poll(() => page.locator(".said .versions").textContent()).toContain("2 of 2");
    await page.locator(".said").getByRole("button", { name: "Version before" }).click();
    await page.locator(".said-text", { hasText: "why" }).waitFor();
    await page.reload();
    await page.locator(".said-text", { hasText: "why" }).waitFor();
  });

  it("says that an answer was cut, and goes on with it; stops one, and names what it can do then", async () => {
    const page = await openPage(at({ temperature: "1" }));
    await say(page, "Hi");
    await page.getByText("6 tokens, cut by the limit").waitFor();
    const [cut = ""] = await answers(page);
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByText("12 tokens, cut by the limit").waitFor();
    await idle(page);
    const [whole = ""] = await answers(page);
    expect(whole.startsWith(cut)).toBe(true);
    expect(whole.length).toBeGreaterThan(cut.length);

    await page.getByText("Settings").click();
    await page.getByLabel("Most tokens").fill("10000");
    await page.getByRole("slider", { name: /Temperature/ }).press("Home");
    await box(page).fill("who");
    await box(page).press("Enter");
    await page.waitForFunction(() => (document.querySelectorAll(".answer-text")[1]?.textContent ?? "").length > 3);
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText(/^stopped after [\d,]+ tokens/).waitFor();
    await page.getByRole("button", { name: "Continue" }).waitFor();
    await expect.poll(() => page.getByRole("button", { name: "Continue" }).count()).toBe(1);
  });

  it("shows tokens with their probabilities, and what else could have come at the pointer and at the keys", async () => {
    const page = await openPage(at());
    await say(page, "Hi");
    await expect.poll(() => page.locator(".token").count()).toBe(0);
    await page.getByLabel("Tokens", { exact: true }).check();
    const tokens = page.locator(".answer .token");
    await expect.poll(() => tokens.count()).toBe(6);
    const panel = page.locator(".token-panel");
    await tokens.nth(2).hover();
    await panel.getByText("Token 3").waitFor();
    await expect.poll(() => panel.locator("li").count()).toBe(10);
    await page.getByRole("heading", { name: "Chat" }).hover();
    await panel.waitFor({ state: "detached" });
    const list = page.getByRole("listbox");
    await list.press("Home");
    await panel.getByText("Token 1").waitFor();
    await page.keyboard.press("ArrowRight");
    await panel.getByText("Token 2").waitFor();
    await page.keyboard.press("Enter");
    await page
      .getByRole("status")
      .filter({ hasText: /^.+, [\d.]+\s%; / })
      .waitFor({ state: "attached" });
    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "detached" });
  });

  it("says how many messages a long conversation has lost, and what a message must not have", async () => {
    const page = await openPage(at());
    for (let turn = 0; turn < 4; turn++) await say(page, "why is it so");
    await page.getByText(/For this answer, the first \d messages were left out/).waitFor();
    await say(page, "<img src=x>");
    await page.getByRole("alert").waitFor();
    await expect
      .poll(() => page.getByRole("alert").textContent())
      .toBe("The model never saw this character of the message: “=”. Leave it out.");
    expect(await page.locator("main img").count()).toBe(0);
    // The next message replaces the refused message.
    await say(page, "who");
    await expect.poll(async () => (await saidTexts(page)).at(-1)).toBe("who");
    await expect.poll(() => page.getByRole("alert").count()).toBe(0);
    await expect.poll(() => page.locator(".said .versions").textContent()).toContain("2 of 2");
    await say(page, "a".repeat(90));
    await page
      .getByRole("alert")
      .filter({ hasText: /^The message must leave room for an answer: .*\. Try a shorter message\.$/ })
      .waitFor();
    await page.getByRole("button", { name: "Try again" }).waitFor();
  });

  it("sends a message to two models, and asks another answer of one", async () => {
    const page = await openPage(at({ temperature: "1" }));
    await page.getByLabel("Side by side").check();
    await page.getByLabel("Second model").waitFor();
    await expect.poll(() => page.getByLabel("Second model").inputValue()).toBe(model("other"));
    await say(page, "Hi");
    const [left, right] = [page.locator(".conversation").nth(0), page.locator(".conversation").nth(1)];
    const before = await answers(page);
    expect(before).toHaveLength(2);
    // Both models have the same weights.
    expect(before[0]).toBe(before[1]);
    await right.getByRole("button", { name: "Another answer" }).click();
    await right.getByText("2 of 2").waitFor();
    await idle(page);
    await expect.poll(() => left.locator(".versions").count()).toBe(0);
    const after = await answers(page);
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
    await page.reload();
    await right.getByText("2 of 2").waitFor();
    await page.getByLabel("Side by side").uncheck();
    await right.waitFor({ state: "detached" });
    await expect.poll(() => answers(page)).toEqual([before[0]]);
  });

  it("begins with a model that holds conversations, and says of another one what to do", async () => {
    const page = await openPage("/chat");
    await page.waitForURL(/model=/);
    const choice = page.locator(".chat-models select");
    await expect.poll(() => choice.inputValue()).toBe(model("talker"));
    await box(page).fill("Hi");
    await choice.selectOption("runs/a/last");
    await page.getByText("has no chat template, so it was not trained on conversations").waitFor();
    await expect.poll(() => page.getByRole("button", { name: "Send" }).isDisabled()).toBe(true);
    await box(page).press("Enter");
    await expect.poll(() => box(page).inputValue()).toBe("Hi");
    await page.locator(".notice").getByRole("link", { name: "playground" }).click();
    await page.waitForURL(/\/playground\?model=runs%2Fa%2Flast/);
  });

  it("sends by Ctrl+Enter from its other fields", async () => {
    const page = await openPage(at());
    await box(page).fill("Hi");
    await page.getByText("System prompt", { exact: false }).first().click();
    await page.getByRole("textbox", { name: "System prompt" }).fill("Sing");
    await page.keyboard.press("Control+Enter");
    await page.locator(".said-text").waitFor();
    await idle(page);
    await page.waitForURL(/system=Sing/);
  });

  it("has nothing serious against it: axe, light, dark and narrow", async () => {
    const page = await openPage(at());
    await expectNothingSerious(page, async () => {
      await page.locator("optgroup").first().waitFor({ state: "attached" });
      await page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true");
    });
  });

  it.each([
    ["one model", {}],
    ["two models", { with: "other" }],
    ["a model without a template", { with: "runs/a/last" }],
  ])(
    "has nothing serious against a conversation with %s",
    async (_, { with: other = "" }: { readonly with?: string }) => {
      const page = await openPage(at());
      await say(page, "Hi");
      await page.getByRole("button", { name: "Another answer" }).click();
      await version(page, "2 of 2");
      await idle(page);
      await say(page, "=");
      await page.getByRole("alert").waitFor();
      await page.getByLabel("Tokens", { exact: true }).check();
      if (other !== "") {
        await page.getByLabel("Side by side").check();
        await page.getByLabel("Second model").selectOption(other.includes("/") ? other : model(other));
      }
      await expectNothingSerious(page, async () => {
        await page.locator(".answer .token").first().waitFor();
        await page.locator(".answer .token").first().hover();
        await page.locator(".token-panel").waitFor();
      });
    },
  );
});
