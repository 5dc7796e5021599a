/**
 * Measures the package of a user. It prints the seconds from `npm install` in an empty project to the first generated
 * token, and the tokens per second. The ways are WebAssembly, native kernels from their package, and native kernels
 * that the user's compiler builds.
 *
 *     node bench/installed.mjs [--way wasm,prebuilt,built] [--config book] [--model smollm2.gguf] [--tokens 64] [--rounds 3]
 *                              [--json FILE]
 *
 * The model of --config has its initial weights. --model adds another model (default: none); `scripts/fetch-model.py
 * smollm2` writes such a model. npm uses its cache, so only the first installation includes the time of the network.
 * `built` compiles for some minutes. `prebuilt` uses the kernels of this clone. Tokens per second are measured between
 * the first and the last token. Prints medians over --rounds rounds.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { freshModel, languageModel, openBackend, savePretrained } from "../dist/index.js";
import { charTokenizer } from "../dist/tokenizer/char.js";
import { packMain, packNative } from "../scripts/pack.mjs";
import { configs } from "./lib/configs.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { digits, median, textTable } from "./lib/statistics.mjs";

const ways = { wasm: "WebAssembly", prebuilt: "native, from its package", built: "native, built here" };

const { values } = parseArgs({
  options: {
    way: { type: "string", default: Object.keys(ways).join(",") },
    config: { type: "string", default: "book" },
    model: { type: "string" },
    tokens: { type: "string", default: "64" },
    rounds: { type: "string", default: "3" },
    json: { type: "string" },
  },
});
const asked = namesOf("way", values.way, Object.keys(ways));
const ofCharacters = Object.keys(configs).filter((name) => configs[name].vocabSize === null);
const [config, ...others] = namesOf("config", values.config, ofCharacters);
if (others.length > 0) refuse(`--config: must be one configuration; got ${values.config}`);
const tokens = wholeNumber("tokens", values.tokens);
const rounds = wholeNumber("rounds", values.rounds);

const folder = mkdtempSync(join(tmpdir(), "foretoken-installed-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

// The environment of a user's shell, without variables of npm or of this clone's tests.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|FORETOKEN_|NODE_)/u.test(name)));

/**
 * Runs a command in a project. Resolves to its duration, and to the time of each line of its output, in seconds.
 * @param {string} project
 * @param {readonly string[]} command
 * @returns {Promise<{ seconds: number, lines: { text: string, at: number }[] }>}
 */
const run = (project, [program, ...args]) =>
  new Promise((done, fail) => {
    const began = performance.now();
    const since = () => (performance.now() - began) / 1000;
    const child = spawn(program, args, { cwd: project, env, stdio: ["ignore", "pipe", "pipe"] });
    const lines = [];
    let rest = "";
    let errors = "";
    child.stdout.on("data", (piece) => {
      const parts = (rest + piece).split("\n");
      rest = parts.pop() ?? "";
      for (const text of parts) lines.push({ text, at: since() });
    });
    child.stderr.on("data", (piece) => {
      errors += piece;
    });
    child.on("error", fail);
    child.on("close", (status) => {
      if (status === 0) done({ seconds: since(), lines });
      else fail(new Error(`${program} ${args.join(" ")} ended with ${status}: ${errors.trim()}`));
    });
  });

const characters = Array.from({ length: 65 }, (_, i) => String.fromCharCode(0x3a + i));

const saveFresh = async () => {
  const backend = await openBackend("reference");
  const directory = join(folder, config);
  const lm = languageModel(freshModel(backend, configs[config].model, characters.length, 1), charTokenizer(characters));
  await savePretrained(directory, lm);
  await lm.close();
  await backend.close();
  return directory;
};

/**
 * Generates once, in a new process. Returns the seconds to the first token, and the tokens per second after the first
 * token.
 */
const write = async (project, model, prompt) => {
  const flags = ["--prompt", prompt, "--max-new-tokens", String(tokens), "--json"];
  const { lines } = await run(project, ["npx", "--no-install", "foretoken", "generate", model, ...flags]);
  const times = lines.filter(({ text }) => JSON.parse(text).type === "token").map(({ at }) => at);
  const [first = Number.NaN] = times;
  const last = times.at(-1) ?? Number.NaN;
  // On a busy machine, the whole text may arrive at once. Then its speed is unknown.
  return { first, rate: last > first ? (times.length - 1) / (last - first) : Number.NaN };
};

const medianRate = async (project, model, prompt) => {
  const rates = [];
  for (let round = 0; round < rounds; round++) rates.push((await write(project, model, prompt)).rate);
  return median(rates);
};

const packed = async () => {
  const main = join(folder, (await packMain({ to: folder })).filename);
  return { main, native: asked.includes("prebuilt") ? await packNative({ to: folder }) : undefined };
};

const files = await packed();
const fresh = await saveFresh();
const other = values.model === undefined ? undefined : resolve(values.model);

/** Installs in a new project and generates there. */
const measure = async (way) => {
  const project = join(folder, way);
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "private": true }\n');
  let tarballs = [files.main];
  if (way === "prebuilt" && files.native !== undefined) {
    // The package that lists the prebuilt kernels as an optional dependency.
    const named = await packMain({ to: join(folder, "named"), native: true });
    tarballs = [join(folder, files.native.filename), join(folder, "named", named.filename)];
  }
  const options = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
  const { seconds: installing } = await run(project, ["npm", "install", ...options, ...tarballs]);
  const builder = "node_modules/foretoken/scripts/build/native.mjs";
  const building = way === "built" ? (await run(project, ["node", builder])).seconds : 0;
  const { lines } = await run(project, ["npx", "--no-install", "foretoken", "info", "--json"]);
  const { auto } = JSON.parse(lines[0]?.text ?? "");
  if ((auto.name === "wasm") !== (way === "wasm")) throw new Error(`${ways[way]}: got ${auto.name}: ${auto.why}`);
  const { first } = await write(project, fresh, characters[0]);
  const freshRate = await medianRate(project, fresh, characters[0]);
  const modelRate = other === undefined ? undefined : await medianRate(project, other, "The");
  return {
    way,
    backend: auto.name,
    installing,
    building,
    first,
    total: installing + building + first,
    freshRate,
    modelRate,
  };
};

console.log(machineLine(machine()));
const results = [];
for (const way of asked) results.push(await measure(way));
const titles = ["", "npm install", "build", "first token", "in all", `${config} tokens/s`];
const rows = results.map(({ way, installing, building, first, total, freshRate, modelRate }) => [
  ways[way],
  ...[installing, building, first, total].map((seconds) => `${digits(seconds)} s`),
  digits(freshRate),
  ...(modelRate === undefined ? [] : [digits(modelRate)]),
]);
console.log(textTable([[...titles, ...(other === undefined ? [] : ["model tokens/s"])], ...rows]));
if (values.json !== undefined) {
  const about = { machine: machine(), config, model: other ?? null, tokens, rounds, results };
  writeFileSync(values.json, `${JSON.stringify(about, null, 2)}\n`);
}
