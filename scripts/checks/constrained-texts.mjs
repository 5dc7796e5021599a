// Generates texts with a model for the 50 bounded schemas of test/generate/constraint/bounded.slow.test.ts, and
// validates each text with ajv. The temperature is high, so without the constraint the model would soon violate the
// schema. Needs a build.
//     node scripts/checks/constrained-texts.mjs <model> [--texts 1000] [--minutes 10] [--temperature 1.5] [--streams 32]
//         [--dtype auto] [--first 1] [--last 50] [--results FILE]
// --first and --last select schemas, so that several processes can share the work. --results names a file that stores
// the number of texts of each schema, so a stopped check resumes with the next text.
// In each round, the script generates some texts for each schema. The script stops when every schema has `texts` texts,
// or after `minutes` minutes. If a text does not match its schema, the script prints the text, and the exit status is
// 1.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { runnerImport } from "vite";
import { compileConstraint } from "../../dist/generate/constraint/compile.js";
import { generateMany, loadPretrained } from "../../dist/index.js";
import { isMain, root } from "../build/common.mjs";

const schemasOfEach = 50;
const firstSeed = 1000;
/** Bounded texts end long before this length. */
const maxNewTokens = 700;

const compiles = (schema, tokenizer) => {
  try {
    compileConstraint({ kind: "jsonSchema", schema }, tokenizer);
    return true;
  } catch {
    return false;
  }
};

/** Schemas that have at least one valid value. */
const boundedSchemas = async (tokenizer) => {
  const { module } = await runnerImport(`${root}/test/support/random-schemas.ts`, {
    configFile: false,
    logLevel: "error",
  });
  const found = [];
  for (let seed = firstSeed; found.length < schemasOfEach; seed++) {
    const schema = module.randomSchema(seed);
    if (compiles(schema, tokenizer)) found.push(schema);
  }
  return found;
};

const isValue = (validate, text) => {
  try {
    return validate(JSON.parse(text));
  } catch {
    return false;
  }
};

const readResults = (file) =>
  file !== undefined && existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { counts: {}, tokens: 0, wrong: 0 };

const writeResults = (file, results) => {
  if (file === undefined) return;
  writeFileSync(`${file}.new`, JSON.stringify(results));
  renameSync(`${file}.new`, file);
};

const check = async (path, { texts, minutes, temperature, streams, dtype, first, last, file }) => {
  const lm = await loadPretrained(path, { dtype });
  const ajv = new Ajv2020({ strict: false });
  addFormats.default(ajv);
  const all = await boundedSchemas(lm.tokenizer);
  const schemas = all.slice(first - 1, last).map((schema) => ({ schema, validate: ajv.compile(schema) }));
  const end = performance.now() + minutes * 60_000;
  const results = readResults(file);
  const counts = schemas.map((_, at) => results.counts[first + at] ?? 0);
  let { wrong, tokens } = results;
  const begin = performance.now();
  const roundOf = async (at) => {
    const { schema, validate } = schemas[at];
    // A round has enough texts for several batches of streams, so that a long text does not leave other streams idle.
    const left = Math.min(8 * streams, texts - counts[at]);
    const prompts = Array.from({ length: left }, (_, i) => ({ prompt: "The answer as JSON: ", seed: counts[at] + i }));
    const settings = {
      maxNewTokens,
      temperature,
      topK: 0,
      constraint: { kind: /** @type {const} */ ("jsonSchema"), schema },
    };
    for await (const { text, ids, finishReason } of generateMany(lm, prompts, { ...settings, maxSequences: streams })) {
      counts[at]++;
      tokens += ids.length;
      if (finishReason === "endOfText" && isValue(validate, text)) continue;
      wrong++;
      console.log(JSON.stringify({ schema, text, finishReason }));
    }
    results.counts[first + at] = counts[at];
    writeResults(file, Object.assign(results, { tokens, wrong }));
    const seconds = Math.round((performance.now() - begin) / 1000);
    console.error(`schema ${first + at} of ${last}: ${counts[at]} texts; ${tokens} tokens in all, ${seconds} s`);
  };
  while (performance.now() < end && counts.some((count) => count < texts)) {
    for (let at = 0; at < schemas.length && performance.now() < end; at++) if (counts[at] < texts) await roundOf(at);
  }
  await lm.close();
  const seconds = Math.round((performance.now() - begin) / 1000);
  const written = counts.reduce((sum, count) => sum + count, 0);
  console.log(
    `${written} texts (${Math.min(...counts)} or more of each of ${schemas.length} schemas), ${tokens} tokens, ${seconds} s`,
  );
  console.log(`${wrong} are not values of their schemas`);
  return wrong;
};

if (isMain(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      texts: { type: "string", default: "1000" },
      minutes: { type: "string", default: "10" },
      temperature: { type: "string", default: "1.5" },
      streams: { type: "string", default: "32" },
      dtype: { type: "string", default: "auto" },
      first: { type: "string", default: "1" },
      last: { type: "string", default: String(schemasOfEach) },
      results: { type: "string" },
    },
  });
  const [path] = positionals;
  if (path === undefined) {
    console.error("usage: node scripts/checks/constrained-texts.mjs <model> [--texts 1000] [--minutes 10]");
    process.exit(2);
  }
  const { texts, minutes, temperature, streams, first, last, results: file } = values;
  const dtype = /** @type {import("../../dist/core/tensors/dtype.js").DTypeChoice} */ (values.dtype);
  const settings = {
    ...{ texts: +texts, minutes: +minutes, temperature: +temperature },
    ...{ streams: +streams, dtype, first: +first, last: +last, file },
  };
  process.exitCode = (await check(path, settings)) === 0 ? 0 : 1;
}
