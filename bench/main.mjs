/**
 * Measures all parts on this machine: training steps compared with peers (train.mjs), kernels compared with roofs
 * (kernels.mjs), and generation (generate.mjs). Prints the tables, and saves all figures in one file. report.mjs writes
 * docs/performance.md from this file.
 *
 *     npm run bench -- [--part train,kernels,generate] [--config nano-cpu,book,baby,gpt2] [--seconds 45]
 *                      [--only native,wasm,reference,pytorch,tfjs] [--python python3] [--threads 2] [--json FILE]
 *
 * The file keeps earlier measurements that are not repeated. For example, `--part train --config book` measures one row
 * again. Each part skips configurations that --config does not name. --only and --seconds affect only train.mjs.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { measured } from "./lib/configs.mjs";
import { machine } from "./lib/machine.mjs";
import { commonOptions, configNames, namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { mergePart, parts, resultsFile, resultsText } from "./lib/results.mjs";

const { values } = parseArgs({
  options: {
    ...commonOptions,
    part: { type: "string", default: parts.join(",") },
    only: { type: "string" },
    seconds: { type: "string", default: "45" },
  },
});
const names = configNames(values.config);
const threads = String(wholeNumber("threads", values.threads));
const asked = namesOf("part", values.part, parts);
const python = String(values.python);

const about = machine();
const file = values.json === undefined ? resultsFile(about) : resolve(String(values.json));
const read = () => {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") return {};
    throw error;
  }
};
let results = read();
if (results.machine !== undefined && results.machine.cpu !== about.cpu)
  refuse(`--json: must be a file of this machine's (${about.cpu}); got one of ${results.machine.cpu}`);

const folder = mkdtempSync(join(tmpdir(), "foretoken-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true }));

/** Measures one part, which prints its tables on standard output. Resolves to the figures of this part. */
const measure = (part, args) =>
  new Promise((done, fail) => {
    const output = join(folder, `${part}.json`);
    const program = fileURLToPath(new URL(`${part}.mjs`, import.meta.url));
    const child = spawn(process.execPath, [program, ...args, "--threads", threads, "--json", output], {
      stdio: "inherit",
    });
    child.on("error", fail);
    child.on("close", (status) => {
      if (status === 0) done(JSON.parse(readFileSync(output, "utf8")));
      // The part has printed the reason of the failure.
      else process.exit(status ?? 1);
    });
  });

/**
 * The requested configurations that a part can measure. Without --config, also the part's additional configurations.
 */
const within = (known, more = []) => {
  const some = names.filter((name) => known.includes(name));
  return (names.join() === measured.join() ? [...some, ...more] : some).join(",");
};
const plans = {
  train: {
    config: names.join(","),
    flags: ["--python", python, "--dropout", "0.1", "--seconds", String(values.seconds)].concat(
      values.only === undefined ? [] : ["--only", values.only],
    ),
  },
  kernels: {
    config: within(["nano-cpu", "book", "baby", "gpt2", "tiny"], ["shakespeare", "decode"]),
    flags: ["--python", python, "--rounds", "3", "--milliseconds", "20"],
  },
  generate: { config: within(["book", "baby"]), flags: [] },
};

const due = asked.filter((part) => plans[part].config !== "");
if (due.length === 0)
  refuse(`--config: must name a configuration that --part ${values.part} measures; got ${values.config}`);
for (const part of due) {
  const { config, flags } = plans[part];
  console.log(`\n== ${part}\n`);
  const figures = await measure(part, ["--config", config, ...flags]);
  results = { machine: about, ...results, [part]: mergePart(results[part], figures) };
  mkdirSync(dirname(file), { recursive: true });
  // The text is written to a temporary file, which is then renamed. So an interrupted benchmark does not damage the old
  // file.
  writeFileSync(`${file}.tmp`, `${resultsText(results)}\n`);
  renameSync(`${file}.tmp`, file);
}
const shown = relative(process.cwd(), file);
console.log(`\nwritten to ${shown}; node bench/report.mjs ${shown} puts it into docs/performance.md`);
