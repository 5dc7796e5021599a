// Serves this folder, and foretoken's file for browsers, only on this computer:
//
//     npm start              http://localhost:3000
//     npm start -- 8080      another port
//
// Its headers make the page cross-origin isolated, so that WebAssembly may use threads. A server for the public must
// send the same headers.
import { createReadStream, realpathSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, extname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-cache",
};

const types = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
};

const folder = realpathSync(dirname(fileURLToPath(import.meta.url)));

const findLibrary = () => {
  try {
    return createRequire(import.meta.url).resolve("foretoken/browser");
  } catch {
    console.error("foretoken is not installed in this folder: run npm install first");
    process.exit(1);
  }
};
const library = findLibrary();

/**
 * The path of the requested file: the library, or a file of this folder that is not hidden. Undefined for other paths.
 */
const fileOf = async (url) => {
  const path = decodeURIComponent(url.split(/[?#]/)[0]);
  if (path === "/foretoken.browser.js") return library;
  const names = (path === "/" ? "/index.html" : path).split("/").slice(1);
  // Paths to parent folders, hidden files and installed packages are refused.
  if (names.some((name) => name.startsWith(".") || name === "node_modules" || /[\\\0:]/.test(name))) return undefined;
  const file = await realpath(join(folder, ...names));
  // A link may lead out of the folder.
  return file.startsWith(folder + sep) && (await stat(file)).isFile() ? file : undefined;
};

const answer = (response, status) => response.writeHead(status, headers).end(`${status}\n`);

const server = createServer(async (request, response) => {
  const { method, url = "/", headers: sent } = request;
  if (method !== "GET" && method !== "HEAD") return answer(response, 405);
  // Only known host names are answered, because another site's domain name may point to this computer (DNS rebinding).
  if (!/^(localhost|127\.0\.0\.1)(:\d+)?$/.test(sent.host ?? "")) return answer(response, 403);
  const file = await fileOf(url).catch(() => undefined);
  if (file === undefined) return answer(response, 404);
  response.writeHead(200, { ...headers, "Content-Type": types[extname(file)] ?? "application/octet-stream" });
  if (method === "HEAD") return response.end();
  return createReadStream(file)
    .on("error", () => response.destroy())
    .pipe(response);
});

const [asked = "3000"] = process.argv.slice(2);
if (!/^\d{1,5}$/.test(asked) || Number(asked) > 65535) {
  console.error(`the port must be a number from 0 to 65535; got ${JSON.stringify(asked)}`);
  process.exit(1);
}
const port = Number(asked);
server.on("error", (error) => {
  console.error(`port ${port} cannot be used (${error.message}); try another one: npm start -- ${port + 1}`);
  process.exit(1);
});
server.listen(port, "127.0.0.1", () => {
  const { port: taken } = /** @type {import("node:net").AddressInfo} */ (server.address());
  console.log(`http://localhost:${taken}  (Ctrl-C stops)`);
});
