/**
 * Tests that take hours: memory over 20,000 steps, hostile input, kills, faults of the file system, many texts in an
 * engine, and clients of a server. Start these tests by hand. The slow tests use the same code with small numbers.
 *
 *     npm run soak -- [--part memory,fuzz,kill,faults,engine,prompts,server] [--seed 1] [--json FILE]
 *       memory   [--config nano-cpu] [--steps 20000] [--backend auto] [--dtype auto] [--threads 2]
 *       fuzz     [--cases 10000] [--classes configuration,text,checkpoint,flags] [--only NUMBER]
 *       kill     [--kills 100]
 *       engine   [--config nano-cpu] [--minutes 30] [--backend auto] [--threads 2]   texts that come and go
 *       prompts  [--prompts 10000] [--kills 5] [--backend auto]                      texts of a file, killed and resumed
 *       server   [--requests 10000] [--at-once 64] [--same 300]   clients that misbehave
 *       faults   [--cases all] [--match TEXT]    only cases whose description has TEXT
 *
 * Each part prints its progress and, at the end, a line with counts. The exit status is 1 if a part failed.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { configs } from "../lib/configs.mjs";
import { machine, machineLine } from "../lib/machine.mjs";
import { commonOptions, configNames, namesOf, refuse, wholeNumber } from "../lib/options.mjs";
import { engine } from "./engine.mjs";
import { faults } from "./faults.mjs";
import { fuzz, fuzzClasses } from "./fuzz.mjs";
import { kill } from "./kill.mjs";
import { memory } from "./memory.mjs";
import { prompts } from "./prompts.mjs";
import { server } from "./serve.mjs";

const parts = ["memory", "fuzz", "kill", "faults", "engine", "prompts", "server"];

const { python: _, ...shared } = commonOptions;
const { values } = parseArgs({
  options: {
    ...shared,
    part: { type: "string", default: parts.join() },
    seed: { type: "string", default: "1" },
    config: { type: "string", default: "nano-cpu" },
    steps: { type: "string", default: "20000" },
    backend: { type: "string", default: "auto" },
    dtype: { type: "string", default: "auto" },
    cases: { type: "string" },
    classes: { type: "string", default: fuzzClasses.join() },
    only: { type: "string" },
    match: { type: "string", default: "" },
    kills: { type: "string" },
    prompts: { type: "string", default: "10000" },
    minutes: { type: "string", default: "30" },
    requests: { type: "string", default: "10000" },
    "at-once": { type: "string", default: "64" },
    same: { type: "string", default: "300" },
  },
});
const asked = namesOf("part", values.part, parts);
const seed = wholeNumber("seed", values.seed);
const cases = values.cases === undefined ? undefined : wholeNumber("cases", values.cases);
const only = values.only === undefined ? undefined : wholeNumber("only", values.only);
const classes = namesOf("classes", values.classes, fuzzClasses);
const kills = values.kills === undefined ? undefined : wholeNumber("kills", values.kills);
const promptCount = wholeNumber("prompts", values.prompts);
const threads = wholeNumber("threads", values.threads);
const clients = {
  requests: wholeNumber("requests", values.requests),
  atOnce: wholeNumber("at-once", values["at-once"]),
  same: wholeNumber("same", values.same),
};
const minutes = Number(values.minutes);
if (!(minutes > 0)) refuse(`--minutes: must be a number above 0; got ${values.minutes}`);
const [backend] = namesOf("backend", values.backend, ["auto", "native", "wasm", "reference"]);
const [dtype] = namesOf("dtype", values.dtype, ["auto", "float32", "bfloat16"]);
const names = configNames(values.config);
if (names.length !== 1)
  refuse(`--config: must be one configuration of ${Object.keys(configs).join(", ")}; got ${values.config}`);
const steps = wholeNumber("steps", values.steps);
if (steps < 200) refuse(`--steps: must be at least 200; got ${steps}`);

const about = machine();
console.log(machineLine(about));
const results = { machine: about };
let failed = 0;
for (const part of parts.filter((one) => asked.includes(one))) {
  const started = performance.now();
  const result =
    part === "memory"
      ? await memory({ config: names[0], steps, backend, dtype, threads })
      : part === "fuzz"
        ? await fuzz({ cases: cases ?? 10_000, seed, classes, only })
        : part === "kill"
          ? await kill({ kills: kills ?? 100, seed })
          : part === "engine"
            ? await engine({ config: names[0], minutes, seed, backend, threads })
            : part === "prompts"
              ? await prompts({ prompts: promptCount, kills: kills ?? 5, seed, backend })
              : part === "server"
                ? await server({ ...clients, seed })
                : await faults({ cases, only, match: values.match });
  results[part] = result;
  failed += result.failed;
  console.log(`${part}: ${((performance.now() - started) / 1000).toFixed()} s`);
}
if (typeof values.json === "string") writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
if (failed > 0) process.exitCode = 1;
