/** A page in headless Chromium. Tests use the page like a person, with key presses. Tests can also take screenshots. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { chromiumFlags, program, type Site, serveSite } from "./chromium.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Chromium's debugging protocol over a pipe. The messages are JSON, and a zero byte ends each message. */
const connect = (child: ChildProcess) => {
  const [, , , input, output] = child.stdio as unknown as [null, null, null, Writable, Readable];
  const waiting = new Map<number, { resolve: (result: Fields) => void; reject: (error: Error) => void }>();
  const listeners = new Map<unknown, ((method: string, params: Fields) => void)[]>();
  let rest = "";
  let printed = "";
  let last = 0;
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
  });
  input.on("error", () => {});
  output.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\0");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      const { id, result, error, method, params, sessionId } = JSON.parse(part);
      if (id === undefined) for (const listen of listeners.get(sessionId) ?? []) listen(method, params);
      else if (error === undefined) waiting.get(id)?.resolve(result);
      else waiting.get(id)?.reject(new Error(error.message));
      waiting.delete(id);
    }
  });
  const ended = new Promise<never>((_, reject) => {
    child.on("close", (status) => {
      const error = new Error(`chromium ended with status ${status}:\n${printed}`);
      for (const waits of waiting.values()) waits.reject(error);
      reject(error);
    });
  });
  ended.catch(() => {});
  return {
    /** Fails if Chromium's process has ended. */
    ended,
    listen: (sessionId: unknown, listener: (method: string, params: Fields) => void): void => {
      listeners.set(sessionId, [...(listeners.get(sessionId) ?? []), listener]);
    },
    call: (method: string, params: Fields = {}, sessionId?: string): Promise<Fields> =>
      new Promise((resolve, reject) => {
        const id = ++last;
        waiting.set(id, { resolve, reject });
        input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
      }),
  };
};

export interface TabOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  /** JavaScript that is executed before any script of the page. */
  readonly before?: string;
}

export interface Tab {
  /** Evaluates an expression in the page, and awaits its promise. Resolves to the value. */
  readonly evaluate: <T>(expression: string) => Promise<T>;
  /** Waits until an expression is true in the page. */
  readonly until: (expression: string) => Promise<void>;
  /**
   * Waits until an expression is true in a page that may be reloaded meanwhile. A reload cancels a pending evaluation,
   * so the expression is evaluated again.
   */
  readonly untilLoaded: (expression: string) => Promise<void>;
  /** Presses and releases a key: "Tab", "Enter", "Escape", or a character. */
  readonly press: (key: string) => Promise<void>;
  /** Writes a screenshot of the whole page as PNG. */
  readonly picture: (path: string) => Promise<void>;
  /** Uncaught errors of the page, and addresses of files that the page could not load. */
  readonly errors: readonly string[];
  readonly close: () => Promise<void>;
}

const keyCodes: Readonly<Record<string, number>> = { Tab: 9, Enter: 13, Escape: 27 };

/** A Chromium process. Each page has its own origin, because each server has its own port. */
export interface Browser {
  /** Opens `address` in a new tab. */
  readonly openTab: (address: string, options?: TabOptions) => Promise<Tab>;
  /**
   * Opens the page of `site`. Resolves to the JSON that the page posts to `/result`.
   * @throws Error with Chromium's output, if Chromium ends before the page has posted anything.
   */
  readonly openPage: (site: Site) => Promise<unknown>;
  readonly close: () => Promise<void>;
}

/** Starts Chromium. The start takes longer than loading most pages. */
export const openBrowser = async (): Promise<Browser> => {
  if (program === undefined) throw new Error("chromium is required (FORETOKEN_REQUIRE_CHROMIUM), but not found");
  const profile = await mkdtemp(join(tmpdir(), "foretoken-chromium-"));
  const args = [...chromiumFlags(profile), "--remote-debugging-pipe"];
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] });
  const connection = connect(child);
  const open: Browser["openTab"] = (address, options) => tabOf(connection, address, options);
  return {
    openTab: open,
    openPage: (site) =>
      serveSite(site, async (address, result) => {
        const tab = await open(address);
        try {
          return JSON.parse(await Promise.race([result, connection.ended]));
        } finally {
          await tab.close();
        }
      }),
    async close() {
      child.kill();
      await connection.ended.catch(() => undefined);
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
};

/** Opens `address` in a new Chromium. Closing the tab also closes Chromium. */
export const openTab = async (address: string, options: TabOptions = {}): Promise<Tab> => {
  const browser = await openBrowser();
  return { ...(await browser.openTab(address, options)), close: browser.close };
};

const tabOf = async (
  { call, listen }: ReturnType<typeof connect>,
  address: string,
  { width = 1200, height = 900, dark = false, before = "" }: TabOptions = {},
): Promise<Tab> => {
  const { targetId } = await call("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
  const ask = (method: string, params: Fields = {}): Promise<Fields> => call(method, params, String(sessionId));
  const errors: string[] = [];
  listen(sessionId, (method, params) => {
    if (method === "Runtime.exceptionThrown") errors.push(JSON.stringify(params.exceptionDetails));
    const { level, text, url } = (params.entry ?? {}) as { level?: string; text?: string; url?: string };
    if (method === "Log.entryAdded" && level === "error") errors.push(`${text} ${url}`);
  });
  for (const domain of ["Page", "Runtime", "Log"]) await ask(`${domain}.enable`);
  await ask("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
  const scheme = { name: "prefers-color-scheme", value: dark ? "dark" : "light" };
  await ask("Emulation.setEmulatedMedia", { features: [scheme] });
  await ask("Page.addScriptToEvaluateOnNewDocument", { source: before });
  const loaded = new Promise<void>((resolve) => {
    listen(sessionId, (method) => {
      if (method === "Page.loadEventFired") resolve();
    });
  });
  await ask("Page.navigate", { url: address });
  await loaded;

  const evaluate = async <T>(expression: string): Promise<T> => {
    const answer = await ask("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (answer.exceptionDetails !== undefined) throw new Error(JSON.stringify(answer.exceptionDetails));
    return (answer.result as { value: T }).value;
  };
  const until = (expression: string): Promise<void> =>
    evaluate(`new Promise((resolve) => {
      const look = () => ((${expression}) ? resolve(true) : setTimeout(look, 20));
      look();
    })`);
  return {
    evaluate,
    until,
    untilLoaded: async (expression) => {
      // If the page is reloaded during an evaluation, the result may never arrive. So the expression is evaluated
      // again.
      const look = (): Promise<boolean> =>
        evaluate<boolean>(`Boolean(${expression})`).catch((error: unknown) => {
          if (/context was destroyed|navigated or closed|find context|collected/iu.test(String(error))) return false;
          throw error;
        });
      while (!(await Promise.race([look(), delay(1000, false)]))) await delay(20);
    },
    async press(key) {
      const code = { key, windowsVirtualKeyCode: keyCodes[key] ?? key.charCodeAt(0) };
      const text = key === "Enter" ? "\r" : key.length === 1 ? key : undefined;
      await ask("Input.dispatchKeyEvent", { type: text === undefined ? "rawKeyDown" : "keyDown", ...code, text });
      await ask("Input.dispatchKeyEvent", { type: "keyUp", ...code });
    },
    async picture(path) {
      const { data } = await ask("Page.captureScreenshot", { captureBeyondViewport: true });
      await writeFile(path, Buffer.from(String(data), "base64"));
    },
    errors,
    close: async () => void (await call("Target.closeTarget", { targetId })),
  };
};
