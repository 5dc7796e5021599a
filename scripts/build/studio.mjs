// Builds the studio's page, web/, into dist/studio/: static files that need no network and no other host.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hashFiles, isMain, readStamp, root, secondsSince, sourcesUnder, writeStamp } from "./common.mjs";
import { lessonText, lessonTextName, lessonTextSources } from "./lesson-text.mjs";

const output = join(root, "dist/studio/index.html");
/**
 * Files of src with code that the page bundles. These files import only types. From all other files of src, the page
 * uses only types.
 */
export const shared = [
  "src/config/longer-steps.ts",
  "src/data/file-kind.ts",
  "src/evaluate/half-width.ts",
  "src/lesson/small-model-config.ts",
  "src/lesson/words.ts",
  "src/plot/ticks.ts",
  "src/runs/rise.ts",
  "src/runs/time-left.ts",
];

/** Libraries in the page. A licence requires its text in every place where the code is published. */
const bundled = ["preact", "@preact/signals", "@preact/signals-core", "uplot"];

const versionOf = (name) => JSON.parse(readFileSync(join(root, `node_modules/${name}/package.json`), "utf8")).version;

const notice = () =>
  bundled
    .map((name) => {
      const licence = readFileSync(join(root, `node_modules/${name}/LICENSE`), "utf8").trim();
      return `With ${name} ${versionOf(name)}:\n${licence}`;
    })
    .join("\n\n");

/** Sources that the pages share. */
export const pageSources = () => [
  ...shared,
  ...sourcesUnder("web", [".ts", ".tsx", ".css", ".html", ".js", ".svg", ".txt"]),
  ...lessonTextSources,
];
export const pageVersions = () => [...bundled, "vite"].map(versionOf);

/**
 * Options of Vite for a page.
 * @param {{ root: string, publicDir: string, outDir: string, base: string, library: string }} given `library`: path of
 * the library for pages, relative to the lesson's worker.
 * @returns {import("vite").InlineConfig}
 */
export const viteOptions = ({ root: folder, outDir, base, library, publicDir }) => {
  // Code that the first view shares with other views is in one file, so that a view needs few requests.
  const groups = [{ name: "shared", test: /[\\/]web[\\/](?:chart|parts|run|server|shell)[\\/]/u, minShareCount: 2 }];
  const licences = `/*! ${notice().replaceAll("*/", "* /")} */`;
  // Only files with code of a library carry the licences.
  const postBanner = ({ moduleIds }) => (moduleIds.some((id) => id.includes("node_modules")) ? licences : "");
  const output = { codeSplitting: { groups }, postBanner };
  return {
    configFile: false,
    root: folder,
    publicDir,
    logLevel: "warn",
    base,
    define: { lessonLibrary: JSON.stringify(library) },
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    worker: { format: "es", rolldownOptions: { checks: { bundlerTimings: false } } },
    build: {
      outDir,
      emptyOutDir: true,
      target: "es2023",
      // Embedded files would violate the page's own Content-Security-Policy.
      assetsInlineLimit: 0,
      modulePreload: false,
      reportCompressedSize: false,
      // A warning about the time of plugins would interrupt the lines of the build.
      rolldownOptions: { output, checks: { bundlerTimings: false } },
    },
  };
};

/** Builds the page if it is out of date. Resolves to a line for the user, or to undefined. */
export const buildStudio = async () => {
  const own = ["package.json", "tsconfig.web.json", "scripts/build/studio.mjs"];
  const hash = hashFiles([...pageSources(), ...own], pageVersions());
  if (readStamp("studio", output) === hash) return undefined;
  const started = performance.now();
  // Imported only here, because users of the built package need no bundler.
  const { build } = await import("vite");
  const web = join(root, "web");
  const outDir = join(root, "dist/studio");
  const options = { root: web, publicDir: join(web, "public"), base: "/", library: "../foretoken.browser.js" };
  await build(viteOptions({ ...options, outDir }));
  writeFileSync(join(outDir, lessonTextName), await lessonText());
  writeStamp("studio", hash);
  return `Studio: built in ${secondsSince(started)}`;
};

if (isMain(import.meta.url)) {
  const line = await buildStudio();
  if (line !== undefined) console.log(line);
}
