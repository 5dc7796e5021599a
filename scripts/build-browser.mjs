// Makes the browser's library one file, dist/foretoken.browser.js: our modules, zod, the WebAssembly kernels and the code
// of their workers. A page, a bundler and a CDN take it as it is; import maps, which workers do not have, are not needed.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { hashFiles, isMain, readStamp, root, secondsSince, sourcesUnder, writeStamp } from "./build-common.mjs";

const output = join(root, "dist/foretoken.browser.js");
const kernels = ["kernels.wasm", "kernels.relaxed-simd.wasm"];
const kernelPath = (name) => `dist/backend/implementations/wasm/${name}`;
const options = /** @type {const} */ ({ platform: "browser", cwd: root, logLevel: "warn" });

/** Object URLs of files that are part of the bundle, each made when it is first asked for. */
const helper = `
const embeddedUrls = new Map();
const embeddedUrl = (name, type, base64) => {
  if (!embeddedUrls.has(name)) {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    embeddedUrls.set(name, URL.createObjectURL(new Blob([bytes], { type })));
  }
  return embeddedUrls.get(name);
};
`;

/** Puts in the place of `new URL("./FILE", import.meta.url)` an address of the file's content. */
const embed = (files) => ({
  name: "embed",
  transform: (code) => {
    const embedded = code.replace(/new URL\("\.\/([\w.-]+)", import\.meta\.url\)/g, (_, name) => {
      const { type, content } = files[name];
      return `embeddedUrl("${name}", "${type}", "${Buffer.from(content).toString("base64")}")`;
    });
    return embedded === code ? undefined : `${helper}${embedded}`;
  },
});

const bundle = async (input, plugins, banner = "") => {
  // Only here: who has the built package needs no bundler.
  const { rolldown } = await import("rolldown");
  const build = await rolldown({ ...options, input: join(root, input), plugins });
  try {
    const made = await build.generate({ format: "esm", minify: true, postBanner: banner });
    const [{ code, imports, dynamicImports }] = made.output;
    if (made.output.length !== 1 || imports.length + dynamicImports.length > 0 || code.includes("import.meta")) {
      throw new Error(`browser: ${input} must become one file that needs no other`);
    }
    return code;
  } finally {
    await build.close();
  }
};

const readJson = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));

/** MIT asks for its text wherever the code goes. */
const notice = () => {
  const { version, license } = readJson("package.json");
  const zod = readJson("node_modules/zod/package.json").version;
  const terms = readFileSync(join(root, "node_modules/zod/LICENSE"), "utf8").trim();
  return `/*! foretoken ${version}, ${license}. With zod ${zod}:\n${terms}\n*/`;
};

/** Builds what is out of date, from what the other builds made. Resolves to a line for the user, or to undefined. */
export const buildBrowser = async () => {
  const sources = sourcesUnder("dist", [".js"]).filter((file) => join(root, file) !== output);
  const versions = ["zod", "rolldown"].map((name) => readJson(`node_modules/${name}/package.json`).version);
  const hash = hashFiles(
    [...sources, ...kernels.map(kernelPath), "package.json", "scripts/build-browser.mjs"],
    versions,
  );
  if (readStamp("browser", output) === hash) return undefined;
  const started = performance.now();
  const worker = await bundle("dist/backend/implementations/wasm/worker.browser.js", []);
  const compressed = kernels.map((name) => [
    `${name}.gz`,
    { type: "application/gzip", content: gzipSync(readFileSync(join(root, kernelPath(name))), { level: 9 }) },
  ]);
  const files = {
    ...Object.fromEntries(compressed),
    "worker.browser.js": { type: "text/javascript", content: worker },
  };
  const code = await bundle("dist/browser.js", [embed(files)], notice());
  const temporary = `${output}.${process.pid}.tmp`;
  writeFileSync(temporary, code);
  renameSync(temporary, output);
  writeStamp("browser", hash);
  return `Browser: built in ${secondsSince(started)}`;
};

if (isMain(import.meta.url)) {
  const line = await buildBrowser();
  if (line !== undefined) console.log(line);
}
