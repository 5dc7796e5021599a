// Builds everything that a clone needs: TypeScript, the native addon if there is a compiler, WebAssembly, and the
// studio's page. npm starts this script after `npm ci`. The build takes minutes, so the script prints a line at once
// when a part begins or ends, and lines while a part takes long. The script skips outputs that are up to date, without
// a line.
import { chmodSync, existsSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { buildBrowser } from "./build/browser.mjs";
import { buildCommand } from "./build/command.mjs";
import { hashFiles, readStamp, root, secondsSince, sourcesUnder, writeStamp } from "./build/common.mjs";
import { generateKernelHeader, kernelHeader } from "./build/kernel-header.mjs";
import { buildNative, execute } from "./build/native.mjs";
import { openProgress } from "./build/progress.mjs";
import { buildStarters } from "./build/starters.mjs";
import { buildStudio } from "./build/studio.mjs";

const canResolve = (path) => {
  try {
    createRequire(import.meta.url).resolve(path);
    return true;
  } catch {
    return false;
  }
};

/** A package may have no module (for example Biome), or may not export its package.json. */
const hasPackage = (name) => canResolve(name) || canResolve(`${name}/package.json`);

/** Other builds make these folders: build/browser.mjs, command.mjs, starters.mjs and studio.mjs. */
const made = /^dist\/(?:foretoken\.browser\.js$|(?:command|starters|studio)\/)/;

/** Removes outputs without a source. Otherwise imports and tests would still find them. */
const removeOrphans = (sources) => {
  const kept = new Set(sources.map((file) => file.replace(/^src\//, "dist/").replace(/\.ts$/, "")));
  for (const file of sourcesUnder("dist", [".js", ".js.map", ".d.ts"])) {
    if (!made.test(file) && !kept.has(file.replace(/(\.d\.ts|\.js|\.js\.map)$/, ""))) rmSync(join(root, file));
  }
};

/** @param {(line: string) => void} tell */
const buildTypeScript = async (tell) => {
  const sources = sourcesUnder("src", [".ts"]);
  const outputs = sources.map((file) => join(root, file.replace(/^src\//, "dist/").replace(/\.ts$/, ".js")));
  const complete = outputs.every((file) => existsSync(file));
  const hash = hashFiles([...sources, "tsconfig.json", "package.json"]);
  if (complete && readStamp("typescript", outputs[0]) === hash) return undefined;
  const started = performance.now();
  tell(`TypeScript: compiling ${sources.length} files; then native kernels, WebAssembly and the studio's page`);
  // If the compiler finds the cache of an earlier build, it does not write deleted files again.
  if (!complete) rmSync(join(root, "build/tsconfig.tsbuildinfo"), { force: true });
  await execute([process.execPath, join(root, "node_modules/typescript/bin/tsc"), "-p", "."]);
  removeOrphans(sources);
  const main = join(root, "dist/cli/main.js");
  if (existsSync(main)) chmodSync(main, 0o755);
  writeStamp("typescript", hash);
  return `TypeScript: built in ${secondsSince(started)}`;
};

/**
 * This comes after the build of the library. Examples import the library by its name, and are checked against its
 * published types.
 */
const buildExamples = async () => {
  const sources = sourcesUnder("examples", [".ts"]);
  const outputs = sources.map((file) => join(root, "build", file.replace(/\.ts$/, ".js")));
  const hash = hashFiles([...sources, "tsconfig.json", "tsconfig.examples.json"]);
  if (outputs.every((file) => existsSync(file)) && readStamp("examples", outputs[0]) === hash) return undefined;
  const started = performance.now();
  await execute([process.execPath, join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.examples.json"]);
  writeStamp("examples", hash);
  return `Examples: built in ${secondsSince(started)}`;
};

/** This comes before the compilation of C++, because C++ needs the header: see `compileKernels`. */
const buildTypeScriptAndHeader = async (tell) => {
  const built = [await buildTypeScript(tell), await generateKernelHeader()].filter((line) => line !== undefined);
  return built.length === 0 ? undefined : built.join("\n");
};

// The build of WebAssembly needs a separate process, because the WebAssembly compiler computes on the thread that calls
// it. That process prints its own lines.
const buildWasm = async (tell) => {
  await execute([process.execPath, "scripts/build/wasm.mjs"], (text) => tell(text.trimEnd()));
  return undefined;
};

const headerText = () => {
  const path = join(root, kernelHeader);
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
};

/**
 * Compiles the kernels after `header`, the promise of the header. A new clone has a committed header, and nothing is
 * built yet. So its kernels are compiled at once, while TypeScript is compiled on one core. If the header then changes,
 * they are compiled again.
 * @param {() => Promise<void>} compile
 * @param {Promise<void>} header
 */
const compileKernels = async (compile, header) => {
  const early = headerText();
  if (early !== undefined && !existsSync(join(root, "build/typescript.stamp"))) {
    await Promise.all([compile(), header]);
    if (headerText() === early) return;
  }
  await header;
  await compile();
};

const main = async () => {
  const missing = ["typescript", "@biomejs/biome", "@yowasp/clang", "node-api-headers", "rolldown", "vite"].filter(
    (name) => !hasPackage(name),
  );
  if (missing.length > 0) {
    console.log(`foretoken: not built, because ${missing.join(", ")} is not installed; try npm ci`);
    return;
  }
  const { tell, part, end } = openProgress(console.log);
  const typeScript = part("TypeScript", buildTypeScriptAndHeader(tell));
  const native = compileKernels(() => part("native kernels", buildNative(tell)), typeScript);
  const wasm = compileKernels(() => part("WebAssembly", buildWasm(tell)), typeScript);
  const forBrowser = async () => {
    await Promise.all([wasm, part("examples", buildExamples())]);
    await part("the library for pages", buildBrowser());
  };
  const others = async () => {
    await typeScript;
    const parts = await Promise.allSettled([
      part("the command", buildCommand()),
      forBrowser(),
      part("the studio", buildStudio()),
      part("starters", buildStarters()),
    ]);
    return parts;
  };
  const [rest, ...results] = await Promise.allSettled([others(), typeScript, native, wasm]);
  const all = [...results, ...(rest.status === "fulfilled" ? rest.value : [])];
  const failures = all.flatMap((result) => (result.status === "rejected" ? [result.reason.message] : []));
  // A part that waits for a failed part fails with the same error.
  for (const message of new Set(failures)) {
    console.error(message);
    process.exitCode = 1;
  }
  end(process.exitCode === 1);
};

await main();
