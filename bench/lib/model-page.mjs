/** Opens a page in headless Chromium that computes with transformers.js. All files come from this machine. */
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { findChromium } from "../../scripts/find-chromium.mjs";

const peers = fileURLToPath(new URL("../peers-onnx/", import.meta.url));
const packages = join(peers, "node_modules");
const types = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".html": "text/html",
};

/** Headers that allow a page to use several threads. */
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** Serves the page, the library and the models. */
const serve = (models) => {
  const places = {
    "/models/": models,
    "/library/": join(packages, "@huggingface/transformers/dist"),
    "/runtime/": join(packages, "onnxruntime-web/dist"),
    "/": peers,
  };
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent((request.url ?? "/").split("?")[0]));
    const [prefix, place] = Object.entries(places).find(([start]) => path.startsWith(start)) ?? ["/", peers];
    const file = join(place, path === "/" ? "page.html" : path.slice(prefix.length));
    if (!existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    const type = types[extname(file)] ?? "application/octet-stream";
    response.writeHead(200, { ...headers, "Content-Type": type, "Content-Length": statSync(file).size });
    createReadStream(file).pipe(response);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
};

/** @param models the folder of the models' folders. */
export const openPage = async (models) => {
  const server = await serve(models);
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  const browser = await chromium.launch({ executablePath: findChromium(), args });
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error(error));
  page.on("requestfailed", (request) => console.error(`${request.url()}: ${request.failure()?.errorText}`));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction("globalThis.answers !== undefined");
  return {
    /** Calls `answersOf` in the page. */
    answers: (name, asked) => page.evaluate(([place, given]) => globalThis.answers(place, given), [name, asked]),
    /** The text that `page.js` writes. */
    write: () => page.evaluate('import("/page.js").then(() => document.body.textContent.trim())'),
    close: async () => {
      await browser.close();
      server.close();
    },
  };
};
