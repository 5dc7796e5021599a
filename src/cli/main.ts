#!/usr/bin/env node
import { existsSync, readFileSync, statSync } from "node:fs";

/**
 * The whole program in a few files, written by scripts/build/command.mjs. A few files start faster than several hundred
 * modules.
 */
const bundle = new URL("../command/run.js", import.meta.url);
/** The program as separate modules. The published package does not contain these modules. */
const modules = new URL("./run.js", import.meta.url);

/**
 * Whether to use the bundle: it exists and was made from the current modules. In a clone, the compiler updates its
 * build info when it writes a module. The bundle contains the size and the time of the build info at its creation. The
 * time is in whole seconds, because copies of files keep only whole seconds. A package has no build info and only one
 * build.
 */
const isBundled = (): boolean => {
  try {
    const notes = statSync(new URL("../../build/tsconfig.tsbuildinfo", import.meta.url), { throwIfNoEntry: false });
    if (notes === undefined) return existsSync(bundle);
    const known = readFileSync(new URL("../command/compiled.txt", import.meta.url), "utf8");
    return known === `${notes.size} ${Math.floor(notes.mtimeMs / 1000)}`;
  } catch {
    // If the bundle cannot be checked, use the modules if they exist, because the modules are always current.
    return !existsSync(modules);
  }
};

if (isBundled()) await import(bundle.href);
else await import("./run.ts");
