// Compares the masks of JSON Schemas with ajv on the schemas and instances of guidance-ai/jsonschemabench, and measures
// the time of a mask. The script reads a checkout of the repository guidance-ai/jsonschemabench, and copies no files
// from it. Needs a build.
//     node scripts/checks/json-schema-bench.mjs <checkout> [--tokenizer tokenizer.json] [--every n]
// A schema may be refused, with the name of the keyword. Otherwise the masks must accept exactly the instances that ajv
// accepts, compact and indented. There is one exception: the masks may refuse a number of 2^53 or more that equals a
// bound, because the schema's number may have been rounded when it was read. Without a tokenizer, each byte is a token,
// and no times are printed. To measure times, give a tokenizer of realistic size.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Ajv } from "ajv";
import { Ajv2019 } from "ajv/dist/2019.js";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { compileConstraint } from "../../dist/generate/constraint/compile.js";
import { loadTokenizer } from "../../dist/tokenizer/registry.js";
import { isMain } from "../build/common.mjs";

/** Each byte is a token. The last token ends a text. */
const bytesAlone = () => {
  const encoder = new TextEncoder();
  const tokens = Array.from({ length: 257 }, (_, byte) => (byte < 256 ? Uint8Array.of(byte) : new Uint8Array()));
  return {
    ...{ kind: "byte", vocabSize: 257, specialTokens: [{ id: 256, name: "<end>" }], endOfText: 256 },
    bytes: (id) => tokens[id],
    encode: (text) => Int32Array.from(encoder.encode(text)),
    decode: (ids) => new TextDecoder().decode(Uint8Array.from(ids.filter((id) => id < 256))),
    token: (id) => (id < 256 ? String.fromCharCode(id) : "<end>"),
    toJSON: () => ({ kind: "byte" }),
  };
};

/** Replaces keywords of JSON Schema draft 4 by keywords of later drafts, which ajv knows. */
const modern = (schema) => {
  if (Array.isArray(schema)) return schema.map(modern);
  if (typeof schema !== "object" || schema === null) return schema;
  const result = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, modern(value)]));
  for (const [exclusive, bound] of [
    ["exclusiveMinimum", "minimum"],
    ["exclusiveMaximum", "maximum"],
  ]) {
    if (typeof result[exclusive] !== "boolean") continue;
    const isExclusive = result[exclusive] && typeof result[bound] === "number";
    delete result[exclusive];
    if (!isExclusive) continue;
    result[exclusive] = result[bound];
    delete result[bound];
  }
  if (typeof result.id === "string") {
    if (result.id !== "") result.$id ??= result.id;
    delete result.id;
  }
  return result;
};

/** Whether ajv accepts each instance. Null if ajv refuses the schema. */
const validatorOf = (schema) => {
  const draft = String(schema?.$schema ?? "");
  const Own = draft.includes("2020") ? Ajv2020 : draft.includes("2019") ? Ajv2019 : Ajv;
  const own = modern(schema);
  if (typeof own === "object") delete own.$schema;
  // Some patterns are invalid regular expressions if the flag "u" is set.
  for (const unicodeRegExp of [true, false]) {
    try {
      const ajv = new Own({ strict: false, logger: false, unicodeRegExp });
      addFormats.default(ajv);
      return ajv.compile(own);
    } catch {}
  }
  return null;
};

const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

/** Converts times in milliseconds to a row of a table, in microseconds. */
const rowOf = (name, times) => {
  const sorted = times.toSorted((a, b) => a - b);
  const mean = sorted.reduce((sum, time) => sum + time, 0) / Math.max(1, sorted.length);
  const cells = [mean, ...[0.5, 0.9, 0.99, 0.999, 1].map((share) => quantile(sorted, share))];
  return `| ${name} | ${sorted.length} | ${cells.map((time) => Math.round(time * 1000)).join(" | ")} |`;
};

/** The keyword in a refusal, and the text of the refusal. */
const reasonOf = ({ message }) =>
  message.replace(/^constraint\.schema: \S*\/([^/: ]*):/u, "$1:").replace(/; (got|try).*/u, "");

/** Whether a value has a number of 2^53 or more. Bounds of this size are made narrower, so such a number may be refused. */
const hasRounded = (value) =>
  typeof value === "number"
    ? Math.abs(value) > Number.MAX_SAFE_INTEGER
    : typeof value === "object" && value !== null && Object.values(value).some(hasRounded);

/**
 * @param checkout the folder of a checkout.
 * @returns counts, reasons of refusals, disagreements and times.
 */
export const checkSchemas = (checkout, tokenizer, every = 1) => {
  const folder = join(checkout, "maskbench/data");
  const files = readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .filter((_, i) => i % every === 0);
  const found = {
    files: files.length,
    taken: 0,
    refused: 0,
    instances: 0,
    accepted: 0,
    atRoundedBound: 0,
    withoutAjv: 0,
  };
  const reasons = new Map();
  const wrong = [];
  const masks = [];
  const compiles = [];
  for (const file of files) {
    const { schema, tests = [] } = JSON.parse(readFileSync(join(folder, file), "utf8"));
    let compiled;
    const begun = performance.now();
    try {
      compiled = compileConstraint({ kind: "jsonSchema", schema }, tokenizer);
    } catch (error) {
      if (error.name !== "ConfigError") throw new Error(`${file}: not refused in one line`, { cause: error });
      found.refused++;
      reasons.set(reasonOf(error), (reasons.get(reasonOf(error)) ?? 0) + 1);
      continue;
    }
    compiles.push(performance.now() - begun);
    found.taken++;
    const validate = validatorOf(schema);
    if (validate === null) found.withoutAjv++;
    for (const { data, valid } of tests) {
      const isValid = validate === null ? valid : validate(data);
      for (const indentation of [0, 2]) {
        const matcher = compiled.matcher([tokenizer.endOfText]);
        const mask = new Uint32Array(matcher.maskLength);
        const ids = tokenizer.encode(JSON.stringify(data, null, indentation));
        let at = 0;
        for (const id of ids) {
          const before = performance.now();
          matcher.mask(mask);
          masks.push(performance.now() - before);
          const isAllowed = ((mask[id >>> 5] >>> (id & 31)) & 1) === 1;
          if (matcher.accept(id) !== isAllowed) throw new Error(`${file}: the mask and accept differ`);
          if (!isAllowed) break;
          at++;
        }
        const isAccepted = at === ids.length && matcher.isComplete;
        found.instances++;
        if (isAccepted) found.accepted++;
        if (isValid && !isAccepted && hasRounded(data)) found.atRoundedBound++;
        else if (isAccepted !== isValid)
          wrong.push(`${file}: must be ${isValid ? "accepted" : "refused"}; token ${at}`);
      }
    }
  }
  return { ...found, reasons: [...reasons].sort((a, b) => b[1] - a[1]), wrong, masks, compiles };
};

/** The table of the results. */
export const tableOf = ({ masks, compiles, reasons, wrong, ...counts }, withTimes) => [
  "| what | count |",
  "|---|---:|",
  ...Object.entries({ ...counts, disagreements: wrong.length }).map(([name, count]) => `| ${name} | ${count} |`),
  ...(withTimes
    ? [
        "",
        "| µs | n | mean | p50 | p90 | p99 | p99.9 | max |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        ...[rowOf("mask", masks), rowOf("compile", compiles)],
      ]
    : []),
  "",
  "Refused, and how many schemas for it:",
  "",
  ...reasons.slice(0, 25).map(([reason, count]) => `- ${count}: ${reason}`),
  ...wrong.map((line) => `WRONG ${line}`),
];

if (isMain(import.meta.url)) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { tokenizer: { type: "string" }, every: { type: "string", default: "1" } },
  });
  const [checkout = ""] = positionals;
  if (!existsSync(join(checkout, "maskbench/data"))) {
    console.error("json-schema-bench: needs the folder of a checkout of guidance-ai/jsonschemabench");
    process.exit(2);
  }
  const { tokenizer: path } = values;
  const tokenizer =
    path === undefined ? bytesAlone() : await loadTokenizer(JSON.parse(readFileSync(path, "utf8")), path);
  const result = checkSchemas(checkout, tokenizer, Number(values.every));
  console.log(tableOf(result, path !== undefined).join("\n"));
  if (result.wrong.length > 0) process.exitCode = 1;
}
