// Builds the studio's page, web/, into dist/studio/: static files that need no network and no other host.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hashFiles, isMain, readStamp, root, secondsSince, sourcesUnder, writeStamp } from "./build-common.mjs";

const output = join(root, "dist/studio/index.html");
/** Files of src whose code the page bundles: they import nothing. Of all others it takes types alone. */
export const shared = ["src/plot/ticks.ts", "src/train/run/rise.ts"];

/** Libraries in the page: licences ask for their text wherever the code goes. */
const bundled = ["preact", "@preact/signals", "@preact/signals-core", "uplot"];

const versionOf = (name) => JSON.parse(readFileSync(join(root, `node_modules/${name}/package.json`), "utf8")).version;

const notice = () =>
  bundled
    .map((name) => {
      const licence = readFileSync(join(root, `node_modules/${name}/LICENSE`), "utf8").trim();
      return `With ${name} ${versionOf(name)}:\n${licence}`;
    })
    .join("\n\n");

/** Builds the page if it is out of date. Resolves to a line for the user, or to undefined. */
export const buildStudio = async () => {
  const sources = sourcesUnder("web", [".ts", ".tsx", ".css", ".html", ".js", ".svg"]);
  const own = [...shared, "package.json", "tsconfig.web.json", "scripts/build-studio.mjs"];
  const hash = hashFiles([...sources, ...own], [...bundled, "vite"].map(versionOf));
  if (readStamp("studio", output) === hash) return undefined;
  const started = performance.now();
  // Only here: users of the built package need no bundler.
  const { build } = await import("vite");
  await build({
    configFile: false,
    root: join(root, "web"),
    logLevel: "warn",
    base: "/",
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    build: {
      outDir: join(root, "dist/studio"),
      emptyOutDir: true,
      target: "es2023",
      // Files in the page's text would be against its own policy.
      assetsInlineLimit: 0,
      modulePreload: false,
      reportCompressedSize: false,
      rolldownOptions: { output: { postBanner: `/*! ${notice().replaceAll("*/", "* /")} */` } },
    },
  });
  writeStamp("studio", hash);
  return `Studio: built in ${secondsSince(started)}`;
};

if (isMain(import.meta.url)) {
  const line = await buildStudio();
  if (line !== undefined) console.log(line);
}
