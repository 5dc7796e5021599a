/**
 * Measures how much longer a checkpoint takes to save and load because of its manifest. A model with the size of GPT-2
 * (472 MiB) is saved once. Then it is loaded with and without its manifest, in turn.
 *
 *     node bench/load.mjs [--config gpt2] [--rounds 5]
 *
 * A new file is in the system's cache, so loading does not wait for the disk. So the measured share of the check is an
 * upper bound.
 */
import { mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openReference } from "../dist/backend/implementations/reference/reference.js";
import { freshModel } from "../dist/models/model.js";
import { readPretrained } from "../dist/pretrained/load.node.js";
import { languageModel } from "../dist/pretrained/model/language-model.js";
import { savePretrained } from "../dist/pretrained/save.node.js";
import { charTokenizer } from "../dist/tokenizer/char.js";
import { configs } from "./lib/configs.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { configNames, refuse, wholeNumber } from "./lib/options.mjs";
import { digits, mebibytes, median, textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: { config: { type: "string", default: "gpt2" }, rounds: { type: "string", default: "5" } },
});
const [name, ...others] = configNames(values.config);
if (others.length > 0) refuse(`--config: must be one configuration; got ${values.config}`);
const rounds = wholeNumber("rounds", values.rounds);

const folder = mkdtempSync(join(tmpdir(), "foretoken-load-"));
process.on("exit", () => rmSync(folder, { recursive: true }));
const { model: config, vocabSize } = configs[name];
const characters = Array.from({ length: vocabSize ?? 65 }, (_, i) => String.fromCodePoint(0x4e00 + i));
const tokenizer = charTokenizer(
  characters.map((character, i) => (i < 20_000 ? character : String.fromCodePoint(0x20000 + i))),
);
const backend = await openReference();
const model = freshModel(backend, config, tokenizer.vocabSize, 1);
const path = join(folder, "model");

const seconds = async (work) => {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
};

console.log(machineLine(machine()));
const saving = await seconds(() => savePretrained(path, languageModel(model, tokenizer)));
model.close();
const bytes = statSync(join(path, "model.safetensors")).size;
const [manifest, aside] = [join(path, "manifest.json"), join(folder, "manifest.json")];
/** @type {{ checked: number[], unchecked: number[] }} */
const times = { checked: [], unchecked: [] };
for (let round = 0; round <= rounds; round++) {
  const checked = await seconds(() => readPretrained(path));
  renameSync(manifest, aside);
  const unchecked = await seconds(() => readPretrained(path));
  renameSync(aside, manifest);
  // The first round is a warm-up.
  if (round === 0) continue;
  times.checked.push(checked);
  times.unchecked.push(unchecked);
}
const [checked, unchecked] = [median(times.checked), median(times.unchecked)];
console.log(`${name}: model.safetensors ${mebibytes(bytes)}, saved with its manifest in ${digits(saving)} s`);
process.stdout.write(
  textTable([
    ["reading and checking the checkpoint", "seconds", "lowest", "highest"],
    ...Object.entries({ "with the manifest": times.checked, without: times.unchecked }).map(([what, all]) => [
      what,
      ...[median(all), Math.min(...all), Math.max(...all)].map(digits),
    ]),
  ]),
);
console.log(
  `the manifest costs ${digits(checked - unchecked)} s, ${digits((100 * (checked - unchecked)) / unchecked)}% of reading without`,
);
