import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { isolation, missingChromium, policy, serveSite } from "../browser/chromium.ts";
import { type Browser, openBrowser, type Tab, type TabOptions } from "../browser/tab.ts";
import { wordsText } from "../support/runs.ts";
import { makeSmaller, newStarter, type Starter, type StarterOptions, siteFiles, startServer } from "./starter.ts";

// The test trains a model, and the machine may be slow or busy, so the time limit is long.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let browser: Browser;
beforeAll(async () => {
  if (missingChromium === undefined) browser = await openBrowser();
});
afterAll(() => browser?.close());

const title = (what: string): string => (missingChromium === undefined ? what : `${what}: ${missingChromium}`);

const textOf = (id: string): string => `document.getElementById(${JSON.stringify(id)}).textContent`;
const notices = `[...document.querySelectorAll(".notice strong")].map((element) => element.textContent)`;
/** Sets the text in the same way as a user who pastes it. */
const paste = (text: string): string => `{
  const box = document.getElementById("text");
  box.value = ${JSON.stringify(text)};
  box.dispatchEvent(new Event("input"));
}`;

/** A starter with a smaller model and fewer steps, and no other changes. */
const smallStarter = async (options: StarterOptions = {}): Promise<Starter> => {
  const starter = await newStarter("page", options);
  await makeSmaller(starter, 20);
  return starter;
};

describe.skipIf(missingChromium !== undefined)(title("the starter's page, from Vite"), () => {
  let starter: Starter;
  let tab: Tab;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    starter = await smallStarter();
    const server = await startServer(starter.folder);
    stop = server.stop;
    tab = await browser.openTab(server.address);
  });
  afterAll(async () => {
    await tab?.close();
    await stop?.();
    await starter?.remove();
  });

  test("has no message, and a text to begin with", async () => {
    await tab.until(`document.getElementById("text").value !== ""`);
    expect(await tab.evaluate(notices)).toEqual([]);
    const text = await readFile(join(starter.folder, "text.txt"), "utf8");
    expect(await tab.evaluate(`document.getElementById("text").value`)).toBe(text);
    expect(await tab.evaluate(textOf("size"))).toMatch(/^[\d,]+ characters, \d+ of them different$/u);
    expect(await tab.evaluate(`document.getElementById("write").disabled`)).toBe(true);
  });

  test("trains on a pasted text by keys alone, and shows the loss as a curve and as a table", async () => {
    await tab.evaluate(paste(wordsText("starter", 600)));
    await tab.evaluate(`document.getElementById("file").focus()`);
    for (const next of ["planned", "train"]) {
      await tab.press("Tab");
      expect(await tab.evaluate("document.activeElement.id")).toBe(next);
    }
    await tab.press("Enter");
    await tab.until(`document.querySelectorAll("#table tr").length >= 2`);
    expect(await tab.evaluate(textOf("train"))).toBe("Stop");
    expect(await tab.evaluate(textOf("status"))).toMatch(
      /^(?:Training to step 2,000|Loss \d\.\d\d on held-out text at step \d+, (?:about \d+ (?:seconds|minutes)|a few seconds) left\.$)/u,
    );
    const empty = `document.getElementById("written").dataset.empty`;
    expect(await tab.evaluate(empty)).toBe("The model is learning. After that, its text appears here.");
    // The button keeps the focus, so the same key stops the run.
    expect(await tab.evaluate("document.activeElement.id")).toBe("train");
    await tab.press("Enter");
    await tab.until(`${textOf("train")} === "Train"`);
    expect(await tab.evaluate(textOf("status"))).toMatch(
      /^Stopped at step \d+: loss \d\.\d\d on held-out text(?:, reached at step \d+)?\. You can press Write now\.$/u,
    );
    expect(await tab.evaluate(empty)).toBe("Press Write: the text appears here.");
    // The page highlights "Resume". After a change of the text, it highlights "Train".
    const primary = `[...document.querySelectorAll("main button.primary")].map((button) => button.id).join()`;
    expect(await tab.evaluate(primary)).toBe("go-on,write");
    await tab.evaluate(paste(`${wordsText("starter", 600)}.`));
    expect(await tab.evaluate(primary)).toBe("train,write");
    await tab.evaluate(paste(wordsText("starter", 600)));
    const rows = await tab.evaluate<string[][]>(
      `[...document.querySelectorAll("#table tr")].map((row) => [...row.cells].map((cell) => cell.textContent))`,
    );
    // The columns are: steps, loss on the training text, and loss on held-out text. An untrained model has the loss ln
    // 10 = 2.3.
    expect(rows[0]?.[0]).toBe("20");
    expect(Number(rows.at(-1)?.[2])).toBeLessThan(1.9);
    await tab.until(
      `document.querySelectorAll("#curve circle").length === document.querySelectorAll("#table tr").length`,
    );
    const points = await tab.evaluate<number>(
      `document.querySelector("#curve .each").getAttribute("points").split(" ").length`,
    );
    expect(points).toBeGreaterThanOrEqual(40);
    const keys = await tab.evaluate<number>(`document.querySelectorAll(".legend .key").length`);
    expect(keys).toBe(await tab.evaluate<number>(`document.querySelectorAll("#curve polyline").length`));
    expect(await tab.evaluate(`document.getElementById("curve").getAttribute("aria-label")`)).toMatch(
      /Loss \d\.\d\d on held-out text at step \d+\./u,
    );
    expect(await tab.evaluate(textOf("samples"))).toContain("After 20 steps");
    const prompts = `[...document.querySelectorAll("#samples .written")].map((text) => text.firstChild.className)`;
    expect(new Set(await tab.evaluate<string[]>(prompts))).toEqual(new Set(["prompt"]));
    const cutOff = await tab.evaluate<string[]>(
      `[...document.querySelectorAll("#curve .tick")]
        .filter((label) => label.getBoundingClientRect().right > document.getElementById("curve").getBoundingClientRect().right)
        .map((label) => label.textContent)`,
    );
    expect(cutOff).toEqual([]);
  });

  test("writes as the model does, token by token, until it is stopped", async () => {
    await tab.evaluate(
      `{ document.getElementById("prompt").value = "the "; document.getElementById("prompt").focus(); }`,
    );
    await tab.press("Enter");
    await tab.until(`${textOf("written")}.length >= 60`);
    await tab.press("Escape");
    await tab.until(`${textOf("write")} === "Write"`);
    const written = await tab.evaluate<string>(textOf("written"));
    expect(written).toMatch(/^the [a-z. \n]+$/u);
    // The same prompt gives another text.
    await tab.evaluate(`document.getElementById("written").replaceChildren()`);
    await tab.press("Enter");
    await tab.until(`${textOf("written")}.length >= 60`);
    await tab.press("Escape");
    await tab.until(`${textOf("write")} === "Write"`);
    expect((await tab.evaluate<string>(textOf("written"))).slice(0, 60)).not.toBe(written.slice(0, 60));
    expect(tab.errors).toEqual([]);
  });

  test("says what is wrong with a prompt or a text, and goes on", async () => {
    await tab.evaluate(
      `{ document.getElementById("prompt").value = "the 7☃7"; document.getElementById("write").click(); }`,
    );
    await tab.until(`document.querySelector(".notice.error") !== null`);
    expect(await tab.evaluate(textOf("notices"))).toMatch(
      /^The model does not know “7” “☃”\. Remove this from the prompt, or train on a text that contains it\.$/u,
    );
    // The output is empty, because the model has not begun to write.
    expect(await tab.evaluate(textOf("written"))).toBe("");
    for (const text of ["short", ""]) {
      await tab.evaluate(`${paste(text)}; document.getElementById("train").click();`);
      await tab.until(`document.getElementById("replace").open`);
      await tab.evaluate(`document.querySelector("#replace [value=replace]").click()`);
      await tab.until(`/^The text is too short\\. Paste at least/.test(${textOf("notices")})`);
      await tab.until(`${textOf("train")} === "Train"`);
      expect(await tab.evaluate(`document.querySelectorAll(".notice").length`)).toBe(1);
      expect(await tab.evaluate(`document.getElementById("train").disabled`)).toBe(false);
    }
  });
});

describe.skipIf(missingChromium !== undefined)(title("the starter's page in JavaScript, from other servers"), () => {
  let starter: Starter;
  beforeAll(async () => {
    starter = await smallStarter({ js: true });
  });
  afterAll(() => starter?.remove());
  /** The result of `look` in the page. A server with these files and headers sends the page. */
  const visit = async <T>(
    headers: Readonly<Record<string, string>>,
    look: (tab: Tab) => Promise<T>,
    options: TabOptions & { without?: string } = {},
  ): Promise<T> => {
    const { without, ...rest } = options;
    const files = Object.entries(await siteFiles(starter.folder));
    const served = Object.fromEntries(files.filter(([path]) => path !== without));
    return serveSite({ files: served, headers }, async (address) => {
      const tab = await browser.openTab(address, rest);
      return look(tab).finally(() => tab.close());
    });
  };
  const messages = (tab: Tab): Promise<string[]> => tab.evaluate(notices);

  test("without the headers it names them, and trains slowly all the same", async () => {
    await visit({}, async (tab) => {
      expect(await messages(tab)).toEqual(["This page is not cross-origin isolated."]);
      const told = await tab.evaluate<string>(textOf("notices"));
      for (const [name, value] of Object.entries(isolation)) expect(told).toContain(`${name}: ${value}`);
      await tab.evaluate(`${paste(wordsText("slow", 300))}; document.getElementById("train").click();`);
      await tab.until(`/^[1-9]\\d*$/.test(${textOf("step")})`);
      await tab.press("Escape");
      await tab.until(`${textOf("train")} === "Train"`);
      expect(await tab.evaluate(textOf("status"))).toMatch(/^Stopped at step \d+, before the loss was measured\./u);
    });
  });

  test("without WebAssembly it says so", async () => {
    const told = await visit(isolation, messages, { before: "delete globalThis.WebAssembly" });
    expect(told).toEqual(["This browser has no WebAssembly."]);
  });

  test("without workers it says so, and cannot train", async () => {
    await visit(
      isolation,
      async (tab) => {
        expect(await messages(tab)).toEqual(["This browser has no web workers."]);
        expect(await tab.evaluate(`document.getElementById("train").disabled`)).toBe(true);
      },
      { before: "delete globalThis.Worker" },
    );
  });

  test("where its policy forbids workers it says which line is missing", async () => {
    const strict = `${policy.replace("worker-src 'self' blob:", "worker-src 'self'").replace("script-src 'self'", "script-src 'self' 'unsafe-inline'")}; style-src 'self'`;
    await visit(
      { ...isolation, "Content-Security-Policy": strict },
      async (tab) => {
        await tab.until(`document.getElementById("text").value !== ""`);
        await tab.evaluate(`scrollTo(0, document.body.scrollHeight)`);
        await tab.evaluate(`document.getElementById("train").click()`);
        await tab.until(`document.querySelector(".notice.error") !== null`);
        expect(await tab.evaluate(textOf("notices"))).toMatch(/worker-src has blob:/u);
        // The message scrolls into view.
        const place = "document.querySelector('.notice.error').getBoundingClientRect()";
        expect(await tab.evaluate("scrollY")).toBeGreaterThan(0);
        await tab.until(`${place}.top >= 0 && ${place}.bottom <= innerHeight`);
      },
      { width: 390, height: 400 },
    );
  });

  test("without the library it says that its scripts are not running, and which commands help", async () => {
    const told = await visit(isolation, (tab) => tab.evaluate<string>(textOf("notices")), {
      without: "/foretoken.browser.js",
    });
    expect(told).toMatch(/scripts are not running\.\s+.*npm install once, then npm start/u);
  });

  test("fits a narrow screen, light or dark, with a name for each control and enough contrast for each text", async () => {
    const colours: string[] = [];
    for (const dark of [false, true]) {
      await visit(
        // Causes a message on the page, too.
        {},
        async (tab) => {
          expect(await tab.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
          colours.push(await tab.evaluate("getComputedStyle(document.body).backgroundColor"));
          const unnamed = await tab.evaluate<string[]>(
            `[...document.querySelectorAll("input, textarea, button, progress, svg:not([aria-hidden]), output")]
              .filter((element) => !element.labels?.length && !element.getAttribute("aria-label") && !element.textContent.trim())
              .map((element) => element.outerHTML)`,
          );
          expect(unnamed).toEqual([]);
          expect(await tab.evaluate<string[]>(lowContrast)).toEqual([]);
        },
        { width: 360, height: 740, dark },
      );
    }
    expect(new Set(colours).size).toBe(2);
  });
});

/** Texts with a contrast to their background below 4.5, by WCAG's formula. */
const lowContrast = `(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = numbers(colour).map((value) => value / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const backgroundOf = (element) => {
    const { backgroundColor } = getComputedStyle(element);
    return (numbers(backgroundColor)[3] ?? 1) === 0 && element.parentElement ? backgroundOf(element.parentElement) : backgroundColor;
  };
  return [...document.querySelectorAll("h1, h2, p, label, button:not(:disabled), span, dt, dd, summary, .notice, textarea")]
    .filter((element) => element.textContent.trim() !== "")
    .map((element) => {
      const [low, high] = [getComputedStyle(element).color, backgroundOf(element)].map(luminance).sort((a, b) => a - b);
      return { text: element.textContent.trim().slice(0, 40), ratio: (high + 0.05) / (low + 0.05) };
    })
    .filter(({ ratio }) => ratio < 4.5)
    .map(({ text, ratio }) => text + ": " + ratio.toFixed(2));
})()`;
