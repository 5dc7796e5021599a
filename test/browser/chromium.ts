/** Pages in a real browser: the flags of headless Chromium, and a server that receives their results. */
import { accessSync, constants } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter, extname, join } from "node:path";
import type { TrainEvent } from "#foretoken/runs/events.js";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

const find = (): string | undefined => {
  const { CHROME_PATH, PATH = "" } = process.env;
  if (CHROME_PATH !== undefined && CHROME_PATH !== "") return isProgram(CHROME_PATH) ? CHROME_PATH : undefined;
  return PATH.split(delimiter)
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find(isProgram);
};

/** Path of the Chromium program. */
export const program = find();

/**
 * Reason why no page can be opened on this machine. Undefined if Chromium exists. If Chromium is required but missing,
 * the tests fail.
 */
export const missingChromium: string | undefined =
  program !== undefined || process.env.FORETOKEN_REQUIRE_CHROMIUM === "1"
    ? undefined
    : "no chromium on the path or in CHROME_PATH";

const types: Readonly<Record<string, string>> = {
  ".css": "text/css",
  ".html": "text/html",
  ".txt": "text/plain",
  ".safetensors": "application/octet-stream",
  ".js": "text/javascript",
  ".json": "application/json",
};

/** Headers that make a page cross-origin isolated. */
export const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
} as const;

/** The strictest content security policy with which the library works. The README names the exceptions. */
export const policy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self' blob:";

/** The fields that are equal on every platform. Names, paths and times differ, and a page cannot measure its memory. */
export const timeless = (events: readonly TrainEvent[]): unknown[] =>
  events
    .filter(({ type }) => type !== "estimate")
    .map((event) => ({ ...event, corpus: "", out: "", path: "", tokensPerSecond: 0 }))
    .map((event) =>
      event.type === "start"
        ? { ...event, availableMemory: null, memory: { ...event.memory, program: 0, reading: 0, total: 0 } }
        : event,
    );

/**
 * Flags for headless Chromium. For the user root, the sandbox is off, because Chromium's sandbox does not work for
 * root.
 */
export const chromiumFlags = (profile: string): readonly string[] => [
  ...["--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--enable-logging=stderr"],
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
  `--user-data-dir=${profile}`,
];

export interface Site {
  /** Path on disk for each path on the server. A path that ends with "/" is a folder. The path `/` is the page. */
  readonly files: Readonly<Record<string, string>>;
  /** Headers that are sent with every file. */
  readonly headers: Readonly<Record<string, string>>;
}

const fileOf = (files: Site["files"], path: string): string | undefined => {
  const folder = Object.keys(files).find((key) => key.length > 1 && key.endsWith("/") && path.startsWith(key));
  return files[path] ?? (folder === undefined ? undefined : join(files[folder] as string, path.slice(folder.length)));
};

/**
 * Serves `site` until `work` has ended. `work` gets the address of the server, and the text that the page posts to
 * `/result`.
 */
export const serveSite = async <T>(
  { files, headers }: Site,
  work: (address: string, result: Promise<string>) => Promise<T>,
): Promise<T> => {
  let give: (result: string) => void = () => {};
  const result = new Promise<string>((resolve) => {
    give = resolve;
  });
  const server = createServer(async (request, response) => {
    const path = (request.url ?? "/").split("?")[0] as string;
    if (request.method === "POST") {
      let body = "";
      for await (const chunk of request.setEncoding("utf8")) body += chunk;
      response.writeHead(204).end();
      give(body);
      return;
    }
    const file = fileOf(files, path);
    const content = file === undefined ? undefined : await readFile(file).catch(() => undefined);
    if (content === undefined) response.writeHead(404).end();
    else response.writeHead(200, { "Content-Type": types[extname(path)] ?? types[".html"], ...headers }).end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, result);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
};
