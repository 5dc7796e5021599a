// Bundles the command into a few files, dist/command/: Foretoken's modules with zod, commander and picocolors. Without
// the bundle, a process opens several hundred small modules in two threads, and needs twice the time for its first
// token. dist/cli/main.js loads the bundle, or the modules if the bundle is from another build.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { isAbsolute, join, relative } from "node:path";
import { hashFiles, isMain, readStamp, root, secondsSince, sourcesUnder, withSlashes, writeStamp } from "./common.mjs";

const folder = join(root, "dist/command");
const output = join(folder, "run.js");
/** Name of the file that identifies the modules of the bundle. src/cli/main.ts compares this file. */
const mark = join(folder, "compiled.txt");

/** Finds the modules of worker threads. These modules become entries of the bundle. */
const namesEntries = "dist/worker/entries.node.js";
const entryName = /"\.\/([\w-]+)\.node\.js"/g;

/** The program, and the modules of its worker threads. */
const entriesOf = () => {
  const workers = readFileSync(join(root, namesEntries), "utf8").matchAll(entryName);
  const paths = [...workers].map(([, name]) => [name, `dist/worker/${name}.node.js`]);
  return Object.fromEntries([["run", "dist/cli/run.js"], ...paths].map(([name, path]) => [name, join(root, path)]));
};

/** Libraries in the bundle. Only a few commands load the other libraries, so these libraries are not bundled. */
const bundled = ["commander", "picocolors", "zod"];

const isExternal = (id) =>
  /^[@a-z]/.test(id) && !isAbsolute(id) && !bundled.some((name) => id === name || id.startsWith(`${name}/`));

const pathOf = (id) => withSlashes(relative(root, id));

/**
 * Modules find some files by a relative path. In the bundle, these paths must refer to the same files. The modules of
 * worker threads are in the bundle.
 */
const ownPlace = {
  name: "own-place",
  transform: (code, id) => {
    const path = pathOf(id);
    if (!path.startsWith("dist/") || !code.includes("import.meta.url")) return undefined;
    if (path === namesEntries) return code.replaceAll(entryName, '"./$1.js"');
    const place = withSlashes(relative(folder, id));
    return code.replaceAll("import.meta.url", `new URL("${place}", import.meta.url).href`);
  },
};

/** Records the imports of every module in `imports`. */
const importsIn = (/** @type {Map<string, readonly string[]>} */ imports) => ({
  name: "imports",
  moduleParsed: ({ id, importedIds }) => void imports.set(id, importedIds),
});

/**
 * The files of the bundle. There are files for all commands, for generation and for training. A file is for the main
 * thread, for its worker, or for both. A module belongs to the first set below that contains it. A set also contains
 * all imports of its modules, so no file imports a later file.
 */
const groupsOf = (/** @type {ReadonlyMap<string, readonly string[]>} */ imports) => {
  /** The modules that these modules load immediately: themselves, and all that they import. */
  const loadedBy = (...paths) => {
    const found = new Set();
    const visit = (id) => {
      const imported = imports.get(id);
      if (imported === undefined || found.has(id)) return;
      found.add(id);
      for (const next of imported) visit(next);
    };
    for (const path of paths) {
      const id = join(root, `dist/${path}.js`);
      if (!imports.has(id)) throw new Error(`command: no module ${path}; try another in scripts/build/command.mjs`);
      visit(id);
    }
    return found;
  };
  const both = (a, b) => new Set([...a].filter((id) => b.has(id)));
  const [generate, model] = [loadedBy("cli/commands/generate"), loadedBy("worker/model-entry.node")];
  const [train, trainer] = [loadedBy("cli/commands/train"), loadedBy("worker/train-entry.node")];
  const description = loadedBy("runs/description.node");
  // A command that computes nothing needs none of these modules. Hints in errors also need none of them.
  const small = loadedBy("cli/commands/init", "cli/suggestions/suggest");
  const sets = Object.entries({
    first: loadedBy("cli/run"),
    thread: loadedBy("cli/start-thread"),
    program: loadedBy("cli/program"),
    small: both(small, model),
    "small-command": small,
    writing: both(generate, model),
    "writing-command": generate,
    // The main thread imports these modules late, and other threads or commands import them immediately. Without their
    // own files, the main thread would load all modules of such a thread or command.
    backend: loadedBy("backend/select.node"),
    char: loadedBy("tokenizer/char"),
    bpe: loadedBy("tokenizer/bpe/bpe", "tokenizer/bpe/read-json"),
    "description-worker": both(description, model),
    description,
    "writing-worker": model,
    training: both(train, trainer),
    "training-worker": trainer,
    "training-command": train,
  });
  // Entries stay separate, because loading an entry starts the program or a thread.
  const entries = new Set(Object.values(entriesOf()));
  return sets.map(([name, ids], i) => ({
    ...{ name, priority: sets.length - i },
    test: (id) => ids.has(id) && !entries.has(id),
  }));
};

const readJson = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));

/** A licence requires its text in every place where the code is published. */
const notice = () =>
  bundled
    .map((name) => {
      const { version } = readJson(`node_modules/${name}/package.json`);
      return `With ${name} ${version}:\n${readFileSync(join(root, `node_modules/${name}/LICENSE`), "utf8").trim()}\n`;
    })
    .join("\n");

const bundle = async () => {
  // Imported only here, because users of the built package need no bundler.
  const { rolldown } = await import("rolldown");
  const imports = new Map();
  const build = await rolldown({
    ...{ input: entriesOf(), platform: "node", cwd: root, plugins: [ownPlace, importsIn(imports)] },
    external: isExternal,
    // One command may load a module late, and another command may load the same module immediately. A warning about the
    // time of plugins would interrupt the lines of the build.
    ...{ logLevel: "warn", checks: { ineffectiveDynamicImport: false, bundlerTimings: false } },
  });
  try {
    const options = /** @type {import("rolldown").OutputOptions} */ ({
      // Names are not shortened. So a user can read the stack of --verbose without a source map.
      ...{ format: "esm", minify: false, comments: false, minifyInternalExports: false },
      // File names have no digest. So a command that is active during a build still finds the files that it loads late.
      ...{ entryFileNames: "[name].js", chunkFileNames: "[name].js" },
    });
    // The first output finds the imports, on which the files depend.
    await build.generate(options);
    const { output: made } = await build.generate({ ...options, codeSplitting: { groups: groupsOf(imports) } });
    const files = made.flatMap((file) => (file.type === "chunk" ? [{ fileName: file.fileName, code: file.code }] : []));
    return [...files, { fileName: "licences.txt", code: notice() }];
  } finally {
    await build.close();
  }
};

/**
 * Size and time of the compiler's build info, in the format that src/cli/main.ts compares. Empty if the file does not
 * exist.
 */
const compiled = () => {
  const notes = statSync(join(root, "build/tsconfig.tsbuildinfo"), { throwIfNoEntry: false });
  return notes === undefined ? "" : `${notes.size} ${Math.floor(notes.mtimeMs / 1000)}`;
};

/**
 * Replaces the files one by one. A command that is active at this time may load its next file from its own build or
 * from the new build.
 */
const write = (files) => {
  mkdirSync(folder, { recursive: true });
  rmSync(mark, { force: true });
  for (const { fileName, code } of files) {
    const temporary = join(folder, `${fileName}.${process.pid}.tmp`);
    writeFileSync(temporary, code);
    renameSync(temporary, join(folder, fileName));
  }
  const names = files.map(({ fileName }) => fileName);
  for (const name of readdirSync(folder)) if (!names.includes(name)) rmSync(join(folder, name));
};

/**
 * If the bundle is out of date, builds it from the compiler's output. Resolves to a line for the user, or to undefined.
 */
export const buildCommand = async () => {
  const others = /^dist\/(?:command|starters|studio)\/|[/.]browser\.js$/;
  const sources = sourcesUnder("dist", [".js"]).filter((file) => !others.test(file));
  const versions = [...bundled, "rolldown"].map((name) => readJson(`node_modules/${name}/package.json`).version);
  const hash = hashFiles([...sources, "scripts/build/command.mjs"], versions);
  const started = performance.now();
  const isBuilt = readStamp("command", output) === hash;
  const now = compiled();
  if (!isBuilt) write(await bundle());
  // The compiler may have written unchanged modules again, so their times are new.
  if (!existsSync(mark) || readFileSync(mark, "utf8") !== now) writeFileSync(mark, now);
  if (isBuilt) return undefined;
  writeStamp("command", hash);
  return `Command: built in ${secondsSince(started)}`;
};

if (isMain(import.meta.url)) {
  const line = await buildCommand();
  if (line !== undefined) console.log(line);
}
