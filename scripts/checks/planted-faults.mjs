// Checks that the tests find faults. The script plants 30 faults in src/, native/ and web/, one at a time. For each
// fault, it runs tests until a test fails. Use it before and after a change of the tests: the changed tests must find
// every fault that the old tests found.
//
//     node scripts/checks/planted-faults.mjs [--tree DIR] [--only ID,ID] [--results FILE.jsonl]
//     node scripts/checks/planted-faults.mjs --draw SEED
//
// The faults are in planted-faults/faults.json. The faults were drawn once by a seed (--draw), not chosen by hand. They
// are inverted comparisons, numbers off by one, missing awaits, swapped arguments, missing checks, and edges of
// kernels. A fault contains the text of its lines. So the place of a fault is found even after lines or files were
// moved or indented. If a line has changed, add `later` to the fault by hand, with the new lines and their faulty
// version.
// The file also lists rejected candidates with the reason: they do not compile, or they do not change the behaviour.
// Candidates without an effect must be added by hand, before the next --draw.
// DIR is a separate worktree of the commit to test, with node_modules. Faults are written into it and removed again.
// Default: a worktree of HEAD, which is removed at the end.
// For every fault, round 1 runs the 25 test files that are nearest by their imports. For the remaining faults, round 2
// runs all other test files. Slow tests are not used. Round 1 builds only the files that its tests load: one JavaScript
// file, or the addon. Round 2 builds all outputs, including WebAssembly and pages. The addon is compiled with fewer
// optimisations, which does not change a bit.
// A fault counts as found if a test file fails twice with the fault and passes without the fault. Otherwise the file is
// reported as `unsound`, and the next files are tested. A test file without output for 3 minutes hangs, and has found
// the fault.
// The results are JSON lines, one for each fault and round. If this script is stopped and started again, it continues
// after them. In the table at the end, each "not found" means that a test is missing. This takes hours.
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { isMain, root } from "../build/common.mjs";
import { compilerOf } from "./planted-faults/compile.mjs";
import { drawFaults } from "./planted-faults/draw.mjs";
import { openTree } from "./planted-faults/judge.mjs";
import { stopAll } from "./planted-faults/process.mjs";
import { locate, readSources } from "./planted-faults/sources.mjs";

const listPath = join(root, "scripts/checks/planted-faults/faults.json");
const count = 30;
/** Minimum number of faults in an area. */
const least = { native: 5, web: 3 };

/** @returns {{ seed: number, faults: import("./planted-faults/sources.mjs").Fault[], rejected: (import("./planted-faults/sources.mjs").Fault & { reason: string })[] }} */
const readList = () => JSON.parse(readFileSync(listPath, "utf8"));

const draw = async (seed) => {
  const known = existsSync(listPath) ? readList() : undefined;
  const { rejected, faults: accepted } = known?.seed === seed ? known : { rejected: [], faults: [] };
  const onRefused = (fault) => {
    rejected.push(fault);
    console.log(`${fault.id} ${fault.kind} in ${fault.file}: ${fault.reason}`);
  };
  const options = { seed, count, least, rejected: [...rejected], accepted, refusal: compilerOf(root), onRefused };
  const faults = await drawFaults(readSources(root), options);
  rejected.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  writeFileSync(listPath, `${JSON.stringify({ seed, faults, rejected }, undefined, 2)}\n`);
};

/** A worktree of HEAD, only for this script. */
const makeTree = () => {
  const folder = mkdtempSync(join(tmpdir(), "foretoken-faults-"));
  const tree = join(folder, "tree");
  execFileSync("git", ["worktree", "add", "--detach", tree, "HEAD"], { cwd: root, stdio: "ignore" });
  for (const name of ["node_modules", "dist", "build"])
    if (existsSync(join(root, name)))
      cpSync(join(root, name), join(tree, name), { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  const remove = () => {
    execFileSync("git", ["worktree", "remove", "--force", tree], { cwd: root });
    rmSync(folder, { recursive: true, force: true });
  };
  return { tree, remove };
};

/**
 * Checks the given tree. The tree must not be this checkout, and must have no changes that could be mixed with a fault.
 */
const checkTree = (tree) => {
  if (realpathSync(tree) === realpathSync(root)) throw new Error("--tree: must be another worktree; got this one");
  const changes = execFileSync("git", ["status", "--porcelain", "src", "native", "web", "test"], { cwd: tree });
  if (changes.length > 0) throw new Error(`--tree: must have no changes; got\n${changes}`);
  return { tree, remove: () => {} };
};

/** The last result line of each fault. */
const readResults = (path) =>
  new Map(
    (path !== undefined && existsSync(path) ? readFileSync(path, "utf8").trim().split("\n").filter(Boolean) : [])
      .map((line) => JSON.parse(line))
      .map((result) => [result.id, result]),
  );

const table = (faults, results) => {
  for (const { id, kind, file } of faults) {
    const { found, round, how, test = "", seconds } = results.get(id) ?? {};
    const outcome = found === undefined ? "not judged" : found ? `${how}, round ${round}` : `NOT FOUND, round ${round}`;
    console.log(`${id}  ${kind.padEnd(17)}  ${outcome.padEnd(19)}  ${String(seconds ?? "").padStart(5)} s  ${file}`);
    if (found) console.log(`     ${test.slice(0, 150)}`);
  }
  const found = faults.filter(({ id }) => results.get(id)?.found).length;
  console.log(`${found} of ${faults.length} found`);
};

const judgeAll = async ({ only, results: path, tree: given }) => {
  const ids = only?.split(",");
  const faults = readList().faults.filter(({ id }) => ids === undefined || ids.includes(id));
  const results = readResults(path);
  const { tree, remove } = given === undefined ? makeTree() : checkTree(resolve(given));
  try {
    const sources = readSources(tree);
    // First it checks that every fault is found in the code, because the tests take hours.
    for (const fault of faults) locate(sources, fault);
    const { judge, close } = await openTree(tree, faults);
    try {
      for (const round of /** @type {const} */ ([1, 2]))
        for (const fault of faults) {
          const known = results.get(fault.id);
          if (known?.found || known?.round >= round) continue;
          const result = await judge(fault, round);
          results.set(fault.id, result);
          console.log(JSON.stringify(result));
          if (path !== undefined) appendFileSync(path, `${JSON.stringify(result)}\n`);
        }
    } finally {
      close();
    }
  } finally {
    remove();
  }
  table(faults, results);
};

if (isMain(import.meta.url)) {
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, stopAll);
  const text = /** @type {const} */ ({ type: "string" });
  const { values } = parseArgs({ options: { tree: text, only: text, results: text, draw: text } });
  try {
    await (values.draw === undefined ? judgeAll(values) : draw(Number(values.draw)));
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
