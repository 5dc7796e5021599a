#!/usr/bin/env node
import { existsSync, readFileSync, statSync } from "node:fs";

/** The whole program in a few files, which start sooner than several hundred modules: scripts/build/command.mjs makes them. */
const bundle = new URL("../command/run.js", import.meta.url);
/** The same in modules, which a package lacks. */
const modules = new URL("./run.js", import.meta.url);

/**
 * Whether the bundle is there, and is of the modules beside it. In a clone, the compiler writes its notes whenever it writes a
 * module, and the bundle knows the size and time of the notes that it was made after, in whole seconds, as copies of files keep
 * them. A package has no notes, and no other build.
 */
const isBundled = (): boolean => {
  try {
    const notes = statSync(new URL("../../build/tsconfig.tsbuildinfo", import.meta.url), { throwIfNoEntry: false });
    if (notes === undefined) return existsSync(bundle);
    const known = readFileSync(new URL("../command/compiled.txt", import.meta.url), "utf8");
    return known === `${notes.size} ${Math.floor(notes.mtimeMs / 1000)}`;
  } catch {
    // What cannot be looked at decides nothing: the modules are right in any case.
    return !existsSync(modules);
  }
};

if (isBundled()) await import(bundle.href);
else await import("./run.ts");
