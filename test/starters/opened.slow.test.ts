/**
 * Tests the starter's page in Chromium. The page shows one run, and the buttons use this run, even if other folders
 * were opened before.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FolderFiles, type RunFiles, runToFolder, train } from "#foretoken/browser.js";
import { isolation, missingChromium, program, serveSite } from "../browser/chromium.ts";
import { tinyRun, useFolder, wordsText } from "../support/runs.ts";
import { makeSmaller, newStarter, type Starter, siteFiles } from "./starter.ts";

const title = (what: string): string => (missingChromium === undefined ? what : `${what}: ${missingChromium}`);

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOfA = wordsText("run A", 600);
const textOfB = wordsText("run B", 200);
const documents = Array.from({ length: 20 }, (_, i) => ({ text: wordsText(`document ${i}`, 20) }));

/** The folder of a run that was stopped at step 6 of 12. */
const folderOf = async (data: Pick<RunFiles, "text" | "documents">): Promise<FolderFiles> => {
  let files: Partial<Pick<RunFiles, "last" | "best">> = {};
  const plan = { backend: "reference", preset: "book", config: tinyRun, finalSampleTokens: 0, stopAt: 6 } as const;
  const onCheckpoint = (saved: RunFiles["last"], which: "last" | "best"): void => {
    files = { ...files, [which]: saved };
  };
  for await (const _ of train({ ...data, ...plan, onCheckpoint }));
  return runToFolder({ ...data, ...files } as RunFiles);
};

const without = (folder: FolderFiles, ...names: readonly string[]): FolderFiles =>
  Object.fromEntries(Object.entries(folder).filter(([name]) => !names.includes(name)));

/** All information about its run that a page shows. */
const shownIn = (page: Page): Promise<unknown> =>
  page.evaluate(() => {
    const textOf = (id: string): string | null | undefined => document.getElementById(id)?.textContent;
    return {
      ...{ status: textOf("status"), figures: textOf("step"), steps: textOf("steps"), losses: textOf("table") },
      ...{ samples: textOf("samples"), curve: document.querySelector("#curve .each")?.getAttribute("points") },
      text: document.querySelector("textarea")?.value,
      canGoOn: !document.querySelector<HTMLButtonElement>("#go-on")?.disabled,
    };
  });

describe.skipIf(missingChromium !== undefined)(title("a folder that the starter's page opens"), () => {
  const { newPath } = useFolder();
  let browser: Browser | undefined;
  let starter: Starter;
  let whole: FolderFiles;
  beforeAll(async () => {
    const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    browser = await chromium.launch({
      executablePath: program ?? "chromium",
      args: [...args, "--disable-dev-shm-usage"],
    });
    starter = await newStarter("page", { js: true });
    await makeSmaller(starter, 10);
    whole = await folderOf({ text: textOfB });
  });
  afterAll(async () => {
    await browser?.close();
    await starter?.remove();
  });

  const written = async (folder: FolderFiles): Promise<string> => {
    const path = newPath();
    for (const [name, content] of Object.entries(folder)) {
      await mkdir(dirname(join(path, name)), { recursive: true });
      await writeFile(join(path, name), content);
    }
    return path;
  };
  const visit = async (work: (page: Page, address: string) => Promise<void>): Promise<void> => {
    const context = await browser?.newContext();
    if (context === undefined) throw new Error("no browser");
    context.setDefaultTimeout(60_000);
    await serveSite({ files: await siteFiles(starter.folder), headers: isolation }, async (address) => {
      const page = await context.newPage();
      const uncaught: string[] = [];
      page.on("pageerror", ({ message }) => uncaught.push(message));
      await page.goto(address);
      await work(page, address);
      expect(uncaught).toEqual([]);
    });
    await context.close();
  };
  const box = (page: Page) => page.getByRole("textbox", { name: "Paste a text of your own" });
  const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });
  const says = (page: Page, text: string | RegExp): Promise<void> =>
    page.locator("#status").filter({ hasText: text }).waitFor();
  const tells = (page: Page, text: string): Promise<void> =>
    page.getByRole("alert").getByText(text, { exact: false }).waitFor();
  const open = async (page: Page, folder: FolderFiles): Promise<void> =>
    page.locator("#folder").setInputFiles(await written(folder));
  const trainA = async (page: Page): Promise<void> => {
    await box(page).fill(textOfA);
    await page.getByRole("spinbutton", { name: "Steps" }).fill("4000");
    await button(page, "Train").click();
    await page.locator("#table tr").nth(1).waitFor({ state: "attached" });
    await button(page, "Stop").click();
    await says(page, "Stopped at step");
  };

  /** Holds the example text back. @returns a function that lets the text arrive, and resolves after that. */
  const holdExample = async (page: Page): Promise<() => Promise<void>> => {
    let release: () => void = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await page.route("**/text.txt", async (route) => {
      await released;
      await route.continue();
    });
    return async () => {
      const example = page.waitForResponse("**/text.txt");
      release();
      await (await example).finished();
    };
  };

  it("changes nothing if its run cannot go on, and the run before stays", async () => {
    const inCheckpoint = (name: string): string => `checkpoint/${name}`;
    const { [inCheckpoint("optimizer.safetensors")]: optimizer = new Uint8Array() } = whole;
    const refused: readonly (readonly [FolderFiles, string])[] = [
      [
        { ...whole, [inCheckpoint("optimizer.safetensors")]: optimizer.slice(0, 500) },
        "checkpoint/optimizer.safetensors: the file must match its SHA-256",
      ],
      [{ ...whole, "best/model.safetensors": new Uint8Array(8) }, "model.safetensors: the file must match its SHA-256"],
      [without(whole, inCheckpoint("model.safetensors")), "got no file named model.safetensors"],
      [{ ...whole, [inCheckpoint("trainer_state.json")]: bytes("") }, "trainer_state.json does not contain the step"],
      [{ ...whole, [inCheckpoint("trainer_state.json")]: bytes("{}") }, "trainer_state.json does not contain the step"],
      [
        {
          ...without(whole, inCheckpoint("model.safetensors")),
          [inCheckpoint("adapter_config.json")]: bytes("{}"),
        },
        "got a run that trains an adapter; try resuming the run's folder in Node",
      ],
      [without(whole, "text.txt"), "The folder does not contain the text of the run."],
      [
        without(await folderOf({ documents }), "documents.jsonl"),
        "The folder does not contain the documents of the run.",
      ],
      [without(whole, "run.json"), "must be the folder of a run"],
    ];
    await visit(async (page) => {
      await trainA(page);
      await box(page).fill("typed for an hour");
      const before = await shownIn(page);
      for (const [folder, line] of refused) {
        await open(page, folder);
        await tells(page, line);
        await page.locator("#folder:enabled").waitFor({ state: "attached" });
        await expect.poll(() => shownIn(page), { message: line }).toEqual(before);
      }
      // The button continues run A with the text of run A.
      await button(page, "Resume").click();
      await tells(page, "The run was trained on another text.");
      await expect.poll(() => shownIn(page)).toEqual(before);
      await button(page, "Put the run's text back").click();
      await expect.poll(() => shownIn(page)).toEqual({ ...Object(before), text: textOfA });
      await expect.poll(() => page.getByRole("alert").textContent()).not.toContain("another text");
      await page.reload();
      await says(page, "Stored in your browser: step");
      await expect.poll(() => box(page).inputValue()).toBe(textOfA);
      await button(page, "Resume").click();
      await page.locator("#table tr").nth(3).waitFor({ state: "attached" });
      await button(page, "Stop").click();
      await says(page, "Stopped at step");
    });
  });

  it("asks before its run takes the place of another", async () => {
    await visit(async (page) => {
      await trainA(page);
      const before = await shownIn(page);
      await open(page, whole);
      await page.getByRole("dialog", { name: "This replaces the run in your browser (step" }).waitFor();
      await button(page, "Cancel").click();
      await page.locator("#folder:enabled").waitFor({ state: "attached" });
      await expect.poll(() => shownIn(page)).toEqual(before);
      await page.reload();
      await says(page, "Stored in your browser: step");
      await expect.poll(() => box(page).inputValue()).toBe(textOfA);
    });
  });

  const openFile = (page: Page, name: string, content: string | Uint8Array): Promise<void> =>
    page.locator("#file").setInputFiles({ name, mimeType: "text/plain", buffer: Buffer.from(content) });

  it("goes on, though its text has line ends that the box has not", async () => {
    const folder = await folderOf({ text: textOfB.replaceAll(". ", ".\r\n") });
    await visit(async (page) => {
      await open(page, folder);
      await says(page, "Opened: step 6 of 12");
      await button(page, "Resume").click();
      await says(page, "Trained: loss");
    });
  });

  it("without its text opens beside the text file that it learned, whatever its line ends", async () => {
    // The page reads files in the same way as Node. A Windows line end loses its \r, and the \r of an old Mac file
    // stays.
    const text = textOfB.replaceAll(". ", ".\n").replaceAll("e ", "e\r");
    const folder = without(await folderOf({ text }), "text.txt");
    await visit(async (page) => {
      await openFile(page, "b.txt", `\ufeff${text.replaceAll("\n", "\r\n")}`);
      await says(page, "Opened b.txt.");
      // A file that is not a text changes nothing.
      await openFile(page, "c.txt", new Uint8Array([0x47, 0x72, 0xfc, 0xdf]));
      await tells(page, "c.txt is not a text in UTF-8.");
      await openFile(page, "c.docx", new Uint8Array([0x50, 0x4b, 3, 4]));
      await tells(page, "c.docx is a zip file, such as a Word .docx.");
      await expect.poll(() => page.locator(".notice").count()).toBe(1);
      await expect.poll(() => page.locator("#status").textContent()).toBe("Opened b.txt.");
      await open(page, folder);
      await says(page, "Opened: step 6 of 12");
      await button(page, "Resume").click();
      await says(page, "Trained: loss");
    });
  });

  it("is not gone on with after a new training that did not begin", async () => {
    await visit(async (page) => {
      await open(page, whole);
      await says(page, "Opened: step 6 of 12. Press Resume or Write.");
      await expect.poll(() => box(page).inputValue()).toBe(textOfB);
      await box(page).fill("abc");
      await button(page, "Train").click();
      await button(page, "Replace it").click();
      await tells(page, "The text is too short.");
      await button(page, "Resume").click();
      await tells(page, "The run was trained on another text.");
      await box(page).fill(textOfA);
      await button(page, "Train").click();
      await button(page, "Replace it").click();
      await page.keyboard.press("Escape");
      await says(page, /^Stopped/u);
      await expect.poll(() => page.getByRole("alert").textContent()).not.toContain("This did not work");
      await button(page, "Train").waitFor();
    });
  });

  it("is shown with its figures alone if its notes are damaged or gone", async () => {
    await visit(async (page) => {
      await trainA(page);
      const shown = async (): Promise<unknown> => {
        await says(page, "Opened: step 6 of 12. Press Resume or Write.");
        await page.locator("#folder:enabled").waitFor({ state: "attached" });
        return page.evaluate(() => ({
          rows: document.querySelectorAll("#table tr").length,
          samples: document.querySelector("#samples")?.textContent,
          figures: [...document.querySelectorAll("dl dd")].slice(0, 3).map(({ textContent }) => textContent),
          done: document.querySelector("progress")?.position,
        }));
      };
      const none = { rows: 0, samples: "", figures: ["6", "of 12", "–"], done: 0.5 };
      await open(page, without(whole, "metrics.jsonl"));
      await button(page, "Replace it").click();
      await expect.poll(() => shown()).toEqual(none);
      await page.locator("#curve").getByText("The curve appears after the first step.").waitFor();
      const odd = [{ type: "start" }, { type: "step", step: "x" }, { type: "eval", step: null, valLoss: "low" }, null];
      const lines = `{"type":"sta\n${odd.map((note) => `${JSON.stringify(note)}\n`).join("")}`;
      await box(page).fill("");
      await open(page, { ...whole, "metrics.jsonl": bytes(lines) });
      await button(page, "Replace it").click();
      await page.waitForFunction((text) => document.querySelector("textarea")?.value === text, textOfB);
      await expect.poll(() => shown()).toEqual(none);
      await button(page, "Resume").click();
      await says(page, "Trained: loss");
    });
  });

  it("with documents goes on after a reload, though the example text comes late", async () => {
    await visit(async (page) => {
      await open(page, await folderOf({ documents }));
      await says(page, "Opened: step 6 of 12");
      await expect.poll(() => box(page).inputValue()).toBe("");
      const release = await holdExample(page);
      await page.locator("#folder:enabled").waitFor({ state: "attached" });
      await page.reload({ waitUntil: "commit" });
      await says(page, "Stored in your browser: step 6 of 12");
      await release();
      await button(page, "Resume").click();
      await says(page, "Trained: loss");
      await expect.poll(() => box(page).inputValue()).toBe("");
    });
  });

  it("is not the only way: while the user is in the box, an example text that comes late waits", async () => {
    await visit(async (page) => {
      const release = await holdExample(page);
      await page.reload();
      await box(page).focus();
      await release();
      await expect.poll(() => box(page).inputValue()).toBe("");
      await box(page).blur();
      await expect.poll(() => box(page).inputValue()).not.toBe("");
      await box(page).selectText();
      await page.keyboard.insertText("a text of one's own");
      await box(page).blur();
      await expect.poll(() => box(page).inputValue()).toBe("a text of one's own");
    });
  });

  it("lets nothing else begin while it is read", async () => {
    await visit(async (page) => {
      await trainA(page);
      await page.evaluate(() => {
        const { arrayBuffer } = Blob.prototype;
        const released = new Promise<void>((resolve) => addEventListener("release", () => resolve()));
        Blob.prototype.arrayBuffer = async function (this: Blob) {
          await released;
          return arrayBuffer.call(this);
        };
      });
      await open(page, whole);
      await says(page, "Reading the folder…");
      for (const name of ["Train", "Resume", "Write"])
        await expect.poll(() => button(page, name).isDisabled()).toBe(true);
      await expect.poll(() => page.locator("#folder").isDisabled()).toBe(true);
      await expect.poll(() => box(page).inputValue()).toBe(textOfA);
      await page.evaluate(() => dispatchEvent(new Event("release")));
      await button(page, "Replace it").click();
      await says(page, "Opened: step 6 of 12");
      await expect.poll(() => box(page).inputValue()).toBe(textOfB);
      // The model is also from the opened run, so it writes no letter of the example.
      await page.getByRole("textbox", { name: "The text begins with" }).fill("the ");
      await button(page, "Write").click();
      await page
        .locator("#written")
        .getByText(/^the [a-z. \n]/u)
        .waitFor();
    });
  });
});
