// Shows that the tests find faults: plants 30 faults in src/, native/ and web/, one at a time, and runs the tests until one
// fails. Run it before and after a change of the tests: what was found before must be found after.
//
//     node scripts/checks/planted-faults.mjs [--tree DIR] [--only ID,ID] [--results FILE.jsonl]
//     node scripts/checks/planted-faults.mjs --draw SEED
//
// The faults are in planted-faults/faults.json, drawn once by a seed (--draw) and not by hand: comparisons turned, numbers
// off by one, awaits dropped, arguments swapped, checks missing, and edges of kernels. A fault has the text of its lines, so
// it is found again where lines or files were moved or indented anew; where they were worded anew, `later` is added to it by
// hand, with the lines and what they become now. Beside the faults are the candidates that were rejected, with the reason:
// those that do not compile, and those that change no behaviour: these are added by hand after reading, before --draw again.
//
// DIR is a worktree with node_modules, of the commit that is to be judged, for this alone: faults are written into it and
// taken out again. Unless given, one of HEAD is made, and removed at the end.
//
// Round 1 runs the 25 test files that are nearest by their imports, for all faults; round 2 runs all other test files for the
// faults that are left. Slow tests are not run. In round 1 only what those tests load is built: one file of JavaScript, or
// the addon; in round 2 all, WebAssembly and pages too. The addon is compiled with fewer optimizations, which changes no bit.
// A find counts once the failing file fails again with the fault and passes without it; a file that does not is named as
// `unsound`, and the others go on. A file of tests that is silent for 3 minutes hangs, and has found the fault.
//
// The results are lines of JSON, one for a fault and round; a run that was stopped goes on after them. Read the table at the
// end so: "found" is what the tests are for; a fault that is "not found" is a test that is missing. Takes hours.
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
/** The fewest of an area. */
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

/** A worktree of HEAD for this run alone. */
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

/** A tree that was given: it is not this one, and has no changes that a fault could be mixed with. */
const checkTree = (tree) => {
  if (realpathSync(tree) === realpathSync(root)) throw new Error("--tree: must be another worktree; got this one");
  const changes = execFileSync("git", ["status", "--porcelain", "src", "native", "web", "test"], { cwd: tree });
  if (changes.length > 0) throw new Error(`--tree: must have no changes; got\n${changes}`);
  return { tree, remove: () => {} };
};

/** The last line of each fault. */
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
    // Before hours are spent: every fault must have its place.
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
