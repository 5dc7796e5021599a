/** Runs, and functions that read the page of a run. The tests of the page share them. */
import type { Page } from "playwright-core";
import { expect } from "vitest";
import type { RunSummary } from "#foretoken/serve/studio/protocol.js";
import { missingChromium } from "../browser/chromium.ts";
import { type Page as Server, smallRun, useStudio } from "../serve/studio.ts";
import { type OpenOptions, usePages } from "./page.ts";

/** A studio and its pages, for the tests of a file. Without a browser, the tests are skipped. */
export const useStudioPages = (): {
  readonly server: Server;
  readonly openPage: (path: string, options?: OpenOptions) => Promise<Page>;
  readonly run: (name: string, steps: number, train?: object) => Promise<void>;
  readonly runToEnd: (name: string, steps: number, train?: object) => Promise<RunSummary>;
} => {
  const server = useStudio();
  const open = missingChromium === undefined ? usePages(server.address) : undefined;
  const run = async (name: string, steps: number, train: object = {}): Promise<void> => {
    const { status, body } = await server.post("runs", smallRun(name, steps, train));
    expect(body).toMatchObject({ name });
    expect(status).toBe(200);
  };
  return {
    server,
    run,
    openPage: (...given) => {
      if (open === undefined) throw new Error("no chromium");
      return open(...given);
    },
    runToEnd: async (...given) => {
      await run(...given);
      return server.until(given[0], ({ owner }) => owner === null);
    },
  };
};

/** The last step in the chart of losses, from the chart's description for screen readers. */
export const lastStep = async (page: Page): Promise<number> =>
  Number(await page.getByRole("slider", { name: /^Loss/ }).getAttribute("aria-valuemax"));

export const untilStep = (page: Page, step: number) =>
  page.waitForFunction(
    (least) => Number(document.querySelector(".chart-340")?.getAttribute("aria-valuemax")) >= least,
    step,
    { timeout: 120_000 },
  );

export const stateOf = (page: Page, word: string) =>
  page.locator(".run-state .state").getByText(word, { exact: true }).waitFor({ timeout: 120_000 });

/** Opens all folded parts of the page. */
export const openFolds = (page: Page): Promise<unknown> =>
  page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true");

/** Number of different colours among the chart's pixels. An empty chart has only a few colours. */
export const inkOf = (page: Page) =>
  page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>(".chart-340 canvas");
    const pixels = canvas?.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
    let inked = 0;
    for (let i = 3; i < pixels.length; i += 4) if (pixels[i] !== 0) inked++;
    return inked;
  });

/**
 * Makes the page record which elements move by themselves. The recording begins when the page is loaded the next time.
 */
export const noteShifts = (page: Page): Promise<unknown> =>
  page.addInitScript(() => {
    interface Shift extends PerformanceEntry {
      readonly sources: readonly { readonly node: Node | null }[];
    }
    const shifts: string[] = [];
    Object.assign(globalThis, { shifts });
    new PerformanceObserver((list) => {
      for (const { startTime, sources } of list.getEntries() as Shift[]) {
        const nodes = sources.map(({ node }) => {
          const element = node instanceof Element ? node : node?.parentElement;
          return element?.outerHTML.slice(0, 120);
        });
        shifts.push(`after ${startTime} ms: ${nodes.join("; ")}`);
      }
    }).observe({ type: "layout-shift", buffered: true });
  });

export const shiftsOf = (page: Page): Promise<readonly string[]> => page.evaluate("shifts");
