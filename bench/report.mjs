/**
 * Writes measurements into a document. Each table is inserted between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`.
 * All other text stays the same.
 *
 *     node bench/report.mjs [FILE] [--into docs/performance.md]
 *
 * FILE is a file that main.mjs wrote (default: the file of this machine).
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../scripts/build/common.mjs";
import { machine } from "./lib/machine.mjs";
import { refuse } from "./lib/options.mjs";
import { fill, sections } from "./lib/report-sections.mjs";
import { resultsFile } from "./lib/results.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { into: { type: "string", default: join(root, "docs/performance.md") } },
});
if (positionals.length > 1) refuse(`FILE: must be one file of results; got ${positionals.join(" ")}`);
const [file = resultsFile(machine())] = positionals;

const read = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return refuse(`${path}: must be a readable file; npm run bench writes one`);
  }
};
const parse = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
const results = parse(read(file));
if (results?.machine === undefined) refuse(`${file}: must be a file that npm run bench wrote`);
const document = read(values.into);
try {
  writeFileSync(values.into, fill(document, sections(results)));
} catch (error) {
  refuse(`${values.into}: ${error.message}`);
}
