// Finds the tests that are nearest to a file. The distance is the number of imports of code from a test to the file.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path/posix";

/**
 * @param {string} tree
 * @returns {Map<string, string>} test files and their shared files, by path
 */
export const readTests = (tree) =>
  new Map(
    readdirSync(join(tree, "test"), { recursive: true, encoding: "utf8" })
      .map((path) => `test/${path.replaceAll("\\", "/")}`)
      .filter((file) => /\.(ts|mjs)$/.test(file))
      .sort()
      .map((file) => [file, readFileSync(join(tree, file), "utf8")]),
  );

export const isFastTest = (file) => file.endsWith(".test.ts") && !file.endsWith(".slow.test.ts");

// An import of types executes no code. A program or a worker is started by its address, so a string with an address
// also counts as an import.
const imported = /(?<!type )(?:\bfrom |\bimport |\bimport\(|\bnew URL\()\s*"([^"]+)"/g;
const onlyTypes = /^(?:import|export) type [^;]*;/gm;
const started = /["/](dist\/[\w./-]+\.js)"/g;

const sourceOf = (output) => output.replace(/^dist\//, "src/").replace(/\.js$/, ".ts");

/** The file of the tree that an import in `file` names. Undefined if there is no such file. */
const resolved = (file, name) => {
  if (name === "foretoken") return "src/index.ts";
  if (name === "foretoken/browser") return "src/browser.ts";
  if (name.startsWith("#foretoken/")) return sourceOf(`dist/${name.slice("#foretoken/".length)}`);
  if (!name.startsWith(".")) return undefined;
  const path = join(dirname(file), name);
  if (path.startsWith("dist/")) return sourceOf(path);
  // Code names a worker by its compiled file, next to the compiled file of the code.
  return path.startsWith("src/") ? path.replace(/\.js$/, ".ts") : path;
};

/** Files that a file imports or starts. */
export const importsOf = (file, text) => {
  const code = text.replace(onlyTypes, "");
  const names = [...code.matchAll(imported)].map(([, name]) => resolved(file, name));
  const programs = [...code.matchAll(started)].map(([, path]) => sourceOf(path));
  return [...new Set([...names, ...programs])].filter((name) => name !== undefined);
};

/** Tests of the kernels, nearest first. This is a list, because tests do not import C++. */
const kernelTests = ["conformance", "backend", "ops", "parity", "autograd", "optim", "models", "generate"];
/** Tests of pages. These tests open the pages, and do not import them. */
const pageTests = ["web", "browser", "serve", "starters", "examples"];

const inFolders = (tests, folders) =>
  folders.flatMap((folder) => [...tests.keys()].filter((file) => file.startsWith(`test/${folder}/`)));

const wordsOf = (path) => path.split(/[/.]/).filter((word) => !["src", "test", "ts", "tsx", "web"].includes(word));

/**
 * The test files that import a file, directly or indirectly, nearest first. At equal distance, test files with more
 * words of the file's path in their own path are first. Test files that only mention the file's name are last.
 * @param {string} file
 * @param {import("./sources.mjs").Sources} sources
 * @param {Map<string, string>} tests
 * @returns {string[]}
 */
export const nearestTests = (file, sources, tests) => {
  const fast = (files) => files.filter(isFastTest);
  if (file.startsWith("native/")) return fast(inFolders(tests, kernelTests));
  /** @type {Map<string, string[]>} */
  const importers = new Map();
  for (const [path, text] of [...sources, ...tests])
    if (!path.startsWith("native/"))
      for (const name of importsOf(path, text)) importers.set(name, [...(importers.get(name) ?? []), path]);
  const distance = new Map([[file, 0]]);
  for (const [at, steps] of distance)
    for (const importer of importers.get(at) ?? []) if (!distance.has(importer)) distance.set(importer, steps + 1);
  const words = wordsOf(file);
  const mention = new RegExp(`\\b${words.at(-1)}\\b`);
  const rank = (test) => {
    const shared = words.filter((word) => wordsOf(test).includes(word)).length;
    return [distance.get(test), -shared, mention.test(tests.get(test) ?? "") ? 0 : 1];
  };
  const found = fast([...distance.keys()]).map((test) => ({ test, rank: rank(test) }));
  found.sort((a, b) => {
    const i = a.rank.findIndex((one, at) => one !== b.rank[at]);
    return i === -1 ? (a.test < b.test ? -1 : 1) : a.rank[i] - b.rank[i];
  });
  const nearest = found.map(({ test }) => test);
  return nearest.length > 0 || !file.startsWith("web/") ? nearest : fast(inFolders(tests, pageTests));
};
