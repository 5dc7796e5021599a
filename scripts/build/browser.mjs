// Bundles the library for browsers into one file, dist/foretoken.browser.js: Foretoken's modules, zod, the WebAssembly
// kernels and the code of workers. Pages, bundlers and CDNs can use this file unchanged. The file needs no import maps,
// because workers do not support import maps.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { hashFiles, isMain, readStamp, root, secondsSince, sourcesUnder, writeStamp } from "./common.mjs";

const output = join(root, "dist/foretoken.browser.js");
const kernelPath = (name) => `dist/backend/implementations/wasm/${name}`;
/** The instruction sets that are built: see wasm.mjs. */
const builtKernels = () =>
  ["kernels.wasm", "kernels.relaxed-simd.wasm"].filter((name) => existsSync(join(root, kernelPath(name))));
// A warning about the time of plugins would interrupt the lines of the build.
const checks = { bundlerTimings: false };
const options = /** @type {const} */ ({ platform: "browser", cwd: root, logLevel: "warn", checks });

/** The module name from which modules import the addresses of embedded files. */
const embedded = "embedded-files";

/** Object URLs of embedded files. Each URL is created when it is first needed. */
const ownFiles = (files) => `
const files = ${JSON.stringify(files)};
const urls = new Map();
const contentOf = ({ base64, code, needs }) => {
  if (base64 !== undefined) return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  // A worker gets the addresses of its files in its first line: so the files are in the bundle once.
  const given = needs.map((name) => [name, embeddedUrl(name)]);
  return "const embeddedUrls = " + JSON.stringify(Object.fromEntries(given)) + ";" + code;
};
export const embeddedUrl = (name) => {
  if (files[name] === undefined) return undefined;
  if (!urls.has(name)) urls.set(name, URL.createObjectURL(new Blob([contentOf(files[name])], { type: files[name].type })));
  return urls.get(name);
};
`;

/**
 * Addresses of embedded files, for code that runs in a worker of the bundle. The first line of the worker's code
 * defines them.
 */
const givenFiles = "export const embeddedUrl = (name) => embeddedUrls[name];";

/** Replaces `new URL("./FILE", import.meta.url)` with the address of the embedded file. */
const embed = (helper) => ({
  name: "embed",
  resolveId: (id) => (id === embedded ? id : undefined),
  load: (id) => (id === embedded ? helper : undefined),
  transform: (code) => {
    const changed = code.replace(
      /new URL\("\.\/([\w.-]+)", import\.meta\.url\)/g,
      (_, name) => `embeddedUrl("${name}")`,
    );
    return changed === code ? undefined : `import { embeddedUrl } from "${embedded}";\n${changed}`;
  },
});

const bundle = async (input, plugins, banner = "") => {
  // Imported only here, because users of the built package need no bundler.
  const { rolldown } = await import("rolldown");
  const build = await rolldown({ ...options, input: join(root, input), plugins });
  try {
    const made = await build.generate({ format: "esm", minify: true, postBanner: banner, codeSplitting: false });
    const [{ code, fileName, imports, dynamicImports }] = made.output;
    // The bundle contains a module that is loaded on demand. So esbuild lists the bundle as an import of itself.
    const others = [...imports, ...dynamicImports].filter((name) => name !== fileName);
    if (made.output.length !== 1 || others.length > 0 || code.includes("import.meta")) {
      throw new Error(`browser: ${input} must become one file that needs no other`);
    }
    return code;
  } finally {
    await build.close();
  }
};

const readJson = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));

/** Libraries in the bundle. */
const bundled = ["zod", "@huggingface/tokenizers", "@huggingface/jinja"];

/** A licence requires its text in every place where the code is published. */
const notice = () => {
  const { version, license } = readJson("package.json");
  const terms = bundled.map((name) => {
    const { version: used } = readJson(`node_modules/${name}/package.json`);
    return `With ${name} ${used}:\n${readFileSync(join(root, `node_modules/${name}/LICENSE`), "utf8").trim()}\n`;
  });
  return `/*! foretoken ${version}, ${license}. ${terms.join("\n")}*/`;
};

/**
 * If the bundle is out of date, builds it from the outputs of the other builds. Resolves to a line for the user, or to
 * undefined.
 */
export const buildBrowser = async () => {
  const kernels = builtKernels();
  const sources = sourcesUnder("dist", [".js"]).filter(
    (file) => join(root, file) !== output && !/^dist\/(?:command|starters)\//.test(file),
  );
  const versions = [...bundled, "rolldown"].map((name) => readJson(`node_modules/${name}/package.json`).version);
  const hash = hashFiles(
    [...sources, ...kernels.map(kernelPath), "package.json", "scripts/build/browser.mjs"],
    versions,
  );
  if (readStamp("browser", output) === hash) return undefined;
  const started = performance.now();
  const compressed = kernels.map((name) => {
    const base64 = gzipSync(readFileSync(join(root, kernelPath(name))), { level: 9 }).toString("base64");
    return [`${name}.gz`, { type: "application/gzip", base64 }];
  });
  const worker = async (input, needs) => {
    const code = await bundle(input, [embed(givenFiles)]);
    return { type: "text/javascript", code, needs };
  };
  const thread = { "worker.browser.js": await worker("dist/backend/implementations/wasm/worker.browser.js", []) };
  const parts = { ...Object.fromEntries(compressed), ...thread };
  const entry = await worker("dist/worker/entry.browser.js", Object.keys(parts));
  const files = { ...parts, "entry.browser.js": entry };
  const code = await bundle("dist/browser.js", [embed(ownFiles(files))], notice());
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
