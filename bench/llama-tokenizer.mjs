/**
 * Compares the tokenizer of a GGUF file with llama.cpp: ids of random texts, of all of Unicode, of code and of a
 * corpus. With `--write` it saves the texts, the ids and the tokenizer (`tokenizer.json`) in a folder, for
 * `scripts/checks/check-sentencepiece.py`, which compares them with Hugging Face's `tokenizers`.
 *
 *     npm install --prefix bench/peers-llama --ignore-scripts     (over a gigabyte, once)
 *     node bench/llama-tokenizer.mjs FILE.gguf [--texts 10000] [--seed 1] [--corpus FILE] [--write FOLDER]
 *
 * The exit status is 1 if ids differ, or if decoding does not return the original text.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openGgufTokenizer } from "../dist/pretrained/gguf/open.node.js";
import { openLlama } from "./lib/llama-peer.mjs";
import { refuse, wholeNumber } from "./lib/options.mjs";
import { randomTexts } from "./lib/random-texts.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    texts: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    corpus: { type: "string" },
    write: { type: "string" },
  },
});
const [file] = positionals;
if (file === undefined) refuse("FILE.gguf: must name a file");
const count = wholeNumber("texts", values.texts);
const corpus = values.corpus === undefined ? "" : readFileSync(values.corpus, "utf8");
const texts = randomTexts(count, wholeNumber("seed", values.seed), corpus);

let began = performance.now();
const since = () => {
  const now = performance.now();
  const milliseconds = now - began;
  began = now;
  return milliseconds;
};
const tokenizer = await openGgufTokenizer(file);
const loaded = since();
tokenizer.encode("the first text");
console.log(
  `${tokenizer.vocabSize} tokens: read in ${loaded.toFixed(0)} ms; ${since().toFixed(0)} ms to the first text`,
);

const model = await (await openLlama()).loadModel({ modelPath: file, vocabOnly: true });
let differ = 0;
let lost = 0;
const all = [];
for (const text of texts) {
  const ours = Array.from(tokenizer.encode(text));
  const theirs = model.tokenize(text, false);
  all.push(ours);
  if (ours.length !== theirs.length || ours.some((id, i) => id !== theirs[i])) {
    if (differ++ < 5) {
      const at = ours.findIndex((id, i) => id !== theirs[i]);
      console.log(
        JSON.stringify(text),
        "\n  here     ",
        ours.slice(at, at + 8),
        "\n  llama.cpp",
        theirs.slice(at, at + 8),
      );
    }
  }
  // The tokenizer writes a space as `▁`, so `▁` in a text is decoded as a space.
  if (tokenizer.decode(ours) !== text.replaceAll("▁", " ")) lost++;
}
console.log(`${texts.length} texts: ${differ} have other ids than in llama.cpp, ${lost} change when they are decoded`);

if (corpus !== "") {
  const bytes = Buffer.byteLength(corpus);
  for (const pass of ["first", "second"]) {
    since();
    const { length } = tokenizer.encode(corpus);
    const seconds = since() / 1000;
    console.log(`corpus, ${pass} time: ${length} tokens, ${(bytes / 1e6 / seconds).toFixed(1)} MB/s`);
  }
  const theirs = model.tokenize(corpus, false);
  const ours = tokenizer.encode(corpus);
  console.log(`llama.cpp: ${(bytes / 1e6 / (since() / 1000)).toFixed(1)} MB/s`);
  if (ours.length !== theirs.length || theirs.some((id, i) => id !== ours[i])) {
    differ++;
    console.log("corpus: ids differ from llama.cpp");
  }
}
if (values.write !== undefined) {
  mkdirSync(values.write, { recursive: true });
  since();
  const json = tokenizer.toJSON();
  console.log(`tokenizer.json: made in ${since().toFixed(0)} ms`);
  writeFileSync(join(values.write, "tokenizer.json"), JSON.stringify(json));
  writeFileSync(join(values.write, "texts.json"), JSON.stringify({ texts, ids: all }));
}
await model.dispose();
process.exit(differ === 0 && lost === 0 ? 0 : 1);
