/** A run begins in Node, continues on a page in Chromium, and ends in Node. The page is reloaded once. */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { train } from "#foretoken/train/train.node.js";
import { checkpointHashes, collect, timelessMetrics, useFolder, wordsText } from "../support/runs.ts";
import { isolation, missingChromium, policy, program, serveSite } from "./chromium.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const { newPath, writeText } = useFolder();

const text = wordsText("from Node to a page", 1000);
const plan = {
  preset: "quick",
  config: {
    model: { contextLength: 32, nEmbd: 32, dropout: 0.1 },
    train: { steps: 200, batchSize: 8, warmupSteps: 10, evalInterval: 50, checkpointInterval: 20, sampleTokens: 5 },
  },
  text,
  finalSampleTokens: 5,
  backend: "wasm",
  threads: 2,
} as const;

const title = (what: string): string => (missingChromium === undefined ? what : `${what}: ${missingChromium}`);

const pathsIn = async (folder: string): Promise<readonly string[]> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1));
};

/** Events of a run. The cosines of two engines may differ in the last bit of a float64. This changes no weight. */
const notesOf = async (run: string): Promise<readonly unknown[]> => {
  const events = (await timelessMetrics(run)) as readonly { readonly learningRate?: number }[];
  return events.map((event) =>
    event.learningRate === undefined ? event : { ...event, learningRate: Math.fround(event.learningRate) },
  );
};

interface Report {
  readonly step: number;
  readonly first: number;
  readonly error: string;
}

const reportOf = (page: Page): Promise<Report> => page.evaluate("report");

describe.skipIf(missingChromium !== undefined)(title("a page"), () => {
  let browser: Browser | undefined;
  let begun = "";
  beforeAll(async () => {
    const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    browser = await chromium.launch({
      executablePath: program ?? "chromium",
      args: [...args, "--disable-dev-shm-usage"],
    });
    begun = newPath();
    await collect(train({ ...plan, out: begun, stopAt: 50 }));
  });
  afterAll(() => browser?.close());

  const withSite = async (work: (open: () => Promise<Page>) => Promise<void>): Promise<void> => {
    const files = {
      "/": here("pages/index.html"),
      "/page.js": here("pages/resume.js"),
      "/settings.json": await writeText(JSON.stringify({ paths: await pathsIn(begun) })),
      "/foretoken/": here("../../dist"),
      "/run/": begun,
    };
    const headers = { ...isolation, "Content-Security-Policy": policy };
    const context = await browser?.newContext();
    if (context === undefined) throw new Error("no browser");
    try {
      await serveSite({ files, headers }, (address) =>
        work(async () => {
          const page = await context.newPage();
          await page.goto(address);
          await page.evaluate("ready");
          return page;
        }),
      );
    } finally {
      await context.close();
    }
  };

  it("goes on with a run of Node, after a reload too, and Node ends it: with the bits of one that nothing stopped", async () => {
    const [whole, ended] = [newPath(), newPath()];
    await collect(train({ ...plan, out: whole }));
    await withSite(async (open) => {
      const page = await open();
      void page.evaluate("goOn()").catch(() => undefined);
      await page.evaluate("reached(90)");
      await page.reload();
      await page.evaluate("ready");
      expect((await reportOf(page)).error).toBe("");
      const folder = (await page.evaluate("goOn(190)")) as readonly (readonly [string, string])[];
      const { first, step } = await reportOf(page);
      // The page resumes from its own last checkpoint, not from Node's checkpoint.
      expect(first).toBeGreaterThanOrEqual(80);
      expect(first % 20).toBe(0);
      expect(step).toBe(190);
      for (const [path, content] of folder) {
        await mkdir(dirname(join(ended, path)), { recursive: true });
        await writeFile(join(ended, path), Buffer.from(content, "base64"));
      }
    });
    await collect(train({ resume: ended, backend: "wasm", threads: 1 }));
    expect(await checkpointHashes(ended)).toEqual(await checkpointHashes(whole));
    expect(await notesOf(ended)).toEqual(await notesOf(whole));
  });

  it("that has no room for its run says so in a line, and has what it kept before", async () => {
    await withSite(async (open) => {
      const page = await open();
      await page.evaluate("goOn(60)");
      const session = await page.context().newCDPSession(page);
      const origin = new URL(page.url()).origin;
      await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1000 });
      const line = await page.evaluate("goOn(80).then(() => 'no error', ({ message }) => message)");
      expect(line).toMatch(
        /^store "the run": the browser must have space for the new files in addition to the old files; the old files are unchanged; got a full storage quota for this page; try [^\n]+$/u,
      );
      await session.send("Storage.overrideQuotaForOrigin", { origin });
      await page.reload();
      await page.evaluate("ready");
      await page.evaluate("goOn(70)");
      expect(await reportOf(page)).toMatchObject({ first: 60, step: 70, error: "" });
    });
  });

  it("in a second tab leaves the run of the first one alone", async () => {
    await withSite(async (open) => {
      const first = await open();
      const second = await open();
      expect((await reportOf(second)).error).toBe(
        'store "the run": only one tab at a time may use the store; got another tab that uses it; try closing that tab',
      );
      await first.evaluate("goOn(60)");
      await first.close();
      await second.reload();
      await second.evaluate("ready");
      await second.evaluate("goOn(70)");
      expect(await reportOf(second)).toMatchObject({ first: 60, step: 70, error: "" });
    });
  });
});
