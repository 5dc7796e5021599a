/** The studio's page in headless Chromium, with a real studio server. */
import { readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { program } from "../browser/chromium.ts";

const axe = fileURLToPath(new URL("../../node_modules/axe-core/axe.min.js", import.meta.url));

/** Size of a window in pixels. */
const height = 900;

/**
 * Milliseconds by which every fourth answer of a server is late, chosen at random. This finds tests that rely on the
 * order or the speed of answers. Fonts are never late, because another font moves the content of the page.
 */
const delay = Number(process.env.FORETOKEN_TEST_DELAY ?? 0);

const delayAnswers = (context: BrowserContext): Promise<unknown> =>
  context.route("**/*", async (route) => {
    if (route.request().resourceType() !== "font" && Math.random() < 0.25) await setTimeout(delay);
    await route.fallback();
  });

export interface Opened {
  readonly page: Page;
  /** Errors in the page, violations of its content security policy, and requests to other hosts. */
  readonly complaints: readonly string[];
}

export interface OpenOptions {
  readonly colorScheme?: "light" | "dark";
  readonly width?: number;
  /** The address of a proxy. */
  readonly proxy?: string;
  /** Whether service workers are allowed. Default: they are allowed. */
  readonly serviceWorkers?: "allow" | "block";
}

/** Opens pages for the tests of a file. A test fails if one of its pages had an error. */
export const usePages = (address: () => string): ((path: string, options?: OpenOptions) => Promise<Page>) => {
  let browser: Browser | undefined;
  const contexts: BrowserContext[] = [];
  const complaints: string[] = [];
  beforeAll(async () => {
    const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    browser = await chromium.launch({
      executablePath: program ?? "chromium",
      args: [...args, "--disable-dev-shm-usage"],
    });
  });
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
    expect(complaints.splice(0)).toEqual([]);
  });
  afterAll(() => browser?.close());
  return async (path, { colorScheme = "light", width = 1280, proxy, serviceWorkers = "allow" } = {}) => {
    if (browser === undefined) throw new Error("no browser");
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme,
      serviceWorkers,
      acceptDownloads: true,
      permissions: ["clipboard-read", "clipboard-write"],
      reducedMotion: "reduce",
      ...(proxy === undefined ? {} : { proxy: { server: proxy, bypass: "<-loopback>" } }),
    });
    contexts.push(context);
    // The time limit is far longer than any action takes, because a machine may be busy.
    context.setDefaultTimeout(120_000);
    const page = await context.newPage();
    if (delay > 0) await delayAnswers(context);
    page.on("pageerror", (error) => complaints.push(`error: ${error.stack}`));
    page.on("dialog", (dialog) => complaints.push(`dialog: ${dialog.message()}`));
    page.on("console", (message) => {
      // Failed requests are allowed, because some tests open missing runs, send requests that are refused, or lose the
      // connection.
      const isMeant = /\b(?:400|401|404|409)\b|net::ERR_/.test(message.text());
      if (message.type() === "error" && !isMeant) complaints.push(message.text());
    });
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (protocol.startsWith("http") && origin !== new URL(address()).origin)
        complaints.push(`asked ${request.url()}`);
    });
    await page.goto(new URL(path, address()).href);
    return page;
  };
};

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly impact: string | null;
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
  }[];
}

/** Findings of axe-core for the page: the serious and critical findings, one per line. */
export const violationsOf = async (page: Page): Promise<readonly string[]> => {
  await page.evaluate(await readFile(axe, "utf8"));
  const { violations } = (await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")) as AxeResult;
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) =>
      nodes.map(
        ({ html, failureSummary = "" }) => `${id}: ${html.slice(0, 200)} ${failureSummary.replace(/\s+/g, " ")}`,
      ),
    );
};

const looks = [
  { colorScheme: "light", width: 1280 },
  { colorScheme: "dark", width: 1280 },
  { colorScheme: "light", width: 360 },
] as const;

/**
 * Tests the page in light, dark and narrow display. Expects no serious finding, and nothing wider than the window.
 * @param page a page that has just been opened, light and wide. The page is loaded again for the dark and the narrow
 * display.
 * @param loaded waits until the page shows all content.
 */
export const expectNothingSerious = async (page: Page, loaded: () => Promise<void>): Promise<void> => {
  const grounds: Partial<Record<"light" | "dark", unknown>> = {};
  for (const { colorScheme, width } of looks) {
    const look = `${colorScheme}, ${width} pixels`;
    if (grounds.light !== undefined) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height });
      await page.reload();
    }
    await loaded();
    grounds[colorScheme] = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
    await expect.poll(async () => ({ look, found: await violationsOf(page) })).toEqual({ look, found: [] });
    await expect
      .poll(() => page.evaluate("document.documentElement.scrollWidth - innerWidth"), { message: look })
      .toBeLessThanOrEqual(0);
  }
  expect(grounds.dark).not.toBe(grounds.light);
};
