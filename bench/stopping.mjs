/**
 * Measures the time in which a training run ends after a signal, for texts of several sizes. A container or a scheduler
 * kills a process that needs too long.
 *
 *     node bench/stopping.mjs [--megabytes 1,20,100] [--signals SIGINT,SIGTERM] [--rounds 3] [--json FILE]
 *
 * Each run is a process: `foretoken train` with the defaults for a text of this size. The first run gets the signal
 * during a step. A second run gets the signal during the evaluation on the held-out tenth. Prints a table with three
 * times: a step, from the signal to the saved checkpoint, and from the signal to the exit. A run may need the time of a
 * step, the time to write its checkpoint, and 2 s. If a run needs more time, the exit status is 1.
 */
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machine, machineLine } from "./lib/machine.mjs";
import { commonOptions, namesOf, wholeNumber } from "./lib/options.mjs";
import { median, textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "1,20,100" },
    signals: { type: "string", default: "SIGINT,SIGTERM" },
    rounds: { type: "string", default: "3" },
    json: commonOptions.json,
  },
});
const sizes = values.megabytes.split(",").map((size) => wholeNumber("megabytes", size));
const signals = /** @type {("SIGINT" | "SIGTERM")[]} */ (namesOf("signals", values.signals, ["SIGINT", "SIGTERM"]));
const rounds = wholeNumber("rounds", values.rounds);
/** Seconds that are allowed in addition to the time of a step and the time to write the checkpoint. */
const allowed = 2;

const folder = mkdtempSync(join(tmpdir(), "foretoken-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true }));
const program = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** Words of two to seven letters, drawn with Lehmer's random number generator. */
const writeText = (megabytes) => {
  const path = join(folder, `${megabytes}mb.txt`);
  const file = openSync(path, "w");
  let state = 1;
  const draw = (below) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
  const word = () => Array.from({ length: 2 + draw(6) }, () => String.fromCharCode(97 + draw(26))).join("");
  const words = Array.from({ length: 5000 }, word);
  for (let written = 0; written < megabytes * 1e6; ) {
    const line = `${Array.from({ length: 2000 }, () => words[draw(words.length)]).join(" ")}\n`;
    written += writeSync(file, line);
  }
  closeSync(file);
  return path;
};

/** The signal is sent after this step. An evaluation follows its step. */
const moments = { "a step": ["--eval-interval", "1000"], "an evaluation": ["--eval-interval", "4"] };

const stopOnce = (text, flags, signal) =>
  new Promise((resolve, reject) => {
    const out = join(folder, "run");
    rmSync(out, { recursive: true, force: true });
    const args = [program, "train", "--data", text, "--out", out, "--json", "--steps", "100000", ...flags];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    let notices = "";
    child.stderr.on("data", (data) => {
      notices += data;
    });
    const seconds = () => performance.now() / 1000;
    const steps = [];
    let asked = 0;
    let saved = 0;
    let done;
    createInterface({ input: child.stdout }).on("line", (line) => {
      const event = JSON.parse(line);
      if (event.type === "step") steps.push(seconds());
      if (event.type === "step" && event.step === 4) {
        asked = seconds();
        child.kill(signal);
      }
      if (event.type === "checkpoint" && asked > 0) saved = seconds();
      if (event.type === "done") done = event;
    });
    child.on("error", reject);
    child.on("close", (status) => {
      if (done?.reason !== "interrupted")
        reject(new Error(`the run ended with ${status}, not interrupted: ${notices}`));
      const step = median(steps.slice(1).map((time, i) => time - steps[i]));
      resolve({ step, toCheckpoint: saved - asked, toExit: seconds() - asked, status });
    });
  });

const results = [];
for (const megabytes of sizes) {
  const text = writeText(megabytes);
  for (const [moment, flags] of Object.entries(moments)) {
    for (const signal of signals) {
      const all = [];
      for (let round = 0; round < rounds; round++) all.push(await stopOnce(text, flags, signal));
      const middle = (field) => median(all.map((one) => one[field]));
      results.push({
        ...{ megabytes, moment, signal },
        ...{ step: middle("step"), toCheckpoint: middle("toCheckpoint"), toExit: middle("toExit") },
        longest: Math.max(...all.map(({ toExit }) => toExit)),
        late: all.filter(({ step, toCheckpoint, toExit }) => toExit > Math.max(toCheckpoint, step) + allowed).length,
      });
    }
  }
  rmSync(text);
}

console.log(machineLine(machine()));
const shown = (value) => value.toFixed(2);
console.log(
  textTable([
    ["text", "during", "signal", "a step", "to the checkpoint", "to the exit", "longest"],
    ...results.map(({ megabytes, moment, signal, step, toCheckpoint, toExit, longest }) => [
      `${megabytes} MB`,
      ...[moment, signal, ...[step, toCheckpoint, toExit, longest].map(shown)],
    ]),
  ]),
);
console.log(`Seconds, medians of ${rounds}.`);
if (values.json !== undefined) {
  writeFileSync(String(values.json), `${JSON.stringify({ machine: machine(), stopping: results }, null, 2)}\n`);
}
if (results.some(({ late }) => late > 0)) process.exitCode = 1;
