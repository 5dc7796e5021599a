/**
 * Measures training steps on 1, 2 and 4 ranks of this machine, over shared memory and over TCP with limited bandwidth
 * and added latency. Fits a model of the step's time to some cases, and checks the model on the other cases.
 *
 *     node bench/scaling.mjs [--only TEXT] [--missing] [--rounds 1] [--seconds 2]    measures, fits and checks (as root)
 *     node bench/scaling.mjs --fit                                                   only fits and checks
 *     node bench/scaling.mjs --docs [--into docs/scaling.md]                         writes the tables into the page
 *
 * Each rank has one thread, pinned to one core. If there are more ranks than cores, ranks share cores. --only selects
 * the cases with TEXT in their line. --missing selects the cases that are not in the results file. The results file
 * keeps measurements that are not repeated; --json sets its name. Needs Linux, Open MPI, `tc` and `unshare`.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../scripts/build/common.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { refuse, wholeNumber } from "./lib/options.mjs";
import { fill } from "./lib/report-sections.mjs";
import { median, textTable } from "./lib/statistics.mjs";
import { cases, keyOf } from "./ranks/cases.mjs";
import { missing } from "./ranks/launch.mjs";
import { measureCase, writeTexts } from "./ranks/measure.mjs";
import { readResults, scalingFile, writeResults } from "./ranks/results.mjs";
import { caseName, caseTable, checkLine, fitCases, sections, sentLine } from "./ranks/sections.mjs";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "1" },
    seconds: { type: "string", default: "2" },
    missing: { type: "boolean", default: false },
    fit: { type: "boolean", default: false },
    docs: { type: "boolean", default: false },
    into: { type: "string", default: join(root, "docs/scaling.md") },
    json: { type: "string" },
  },
});
const about = machine();
const file = values.json === undefined ? scalingFile(about) : resolve(values.json);

const measureAll = async () => {
  const reason = missing();
  if (reason !== undefined) refuse(`bench/scaling.mjs: ${reason}`);
  const [rounds, seconds] = [wholeNumber("rounds", values.rounds), wholeNumber("seconds", values.seconds)];
  const known = new Set(values.missing ? (readResults(file).cases ?? []).map(keyOf) : []);
  const due = cases.filter((one) => caseName(one).includes(values.only) && !known.has(keyOf(one)));
  if (due.length === 0)
    refuse(`--only: must be a part of the line of a case to measure, for example "middle"; got ${values.only}`);
  const folder = mkdtempSync(join(tmpdir(), "foretoken-scaling-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  writeTexts(folder);
  const measured = new Map();
  for (let round = 0; round < rounds; round++) {
    for (const one of due) {
      const again = await measureCase(one, folder, seconds / rounds).catch((error) => {
        console.error(`left out: ${caseName(one)}: ${error.message}`);
        process.exitCode = 1;
      });
      if (again === undefined) continue;
      const times = [...(measured.get(keyOf(one))?.times ?? []), ...again.times];
      const whole = { ...again, times, seconds: median(times) };
      measured.set(keyOf(one), whole);
      console.log(`${caseName(one)}: ${(1000 * again.seconds).toFixed(1)} ms`);
      // The file is saved after each case. So --missing can resume an interrupted benchmark.
      const { cases: before = [], ...rest } = readResults(file);
      const others = before.filter((other) => keyOf(other) !== keyOf(one));
      writeResults(file, { ...rest, machine: about, cases: [...others, whole] });
    }
  }
};

const report = () => {
  const results = readResults(file);
  if (results.cases === undefined) refuse(`${file}: must have measured cases; node bench/scaling.mjs measures them`);
  const fitted = fitCases(results);
  console.log(`\n${machineLine(results.machine)}\n`);
  process.stdout.write(textTable(caseTable(fitted)));
  console.log(`\n${sentLine(fitted)}\n${checkLine(fitted)}`);
};

const writeDocs = () => {
  const page = readFileSync(values.into, "utf8");
  try {
    writeFileSync(values.into, fill(page, sections(readResults(file))));
  } catch (error) {
    refuse(`${values.into}: ${error.message}`);
  }
};

if (values.docs) writeDocs();
else {
  if (!values.fit) await measureAll();
  report();
}
