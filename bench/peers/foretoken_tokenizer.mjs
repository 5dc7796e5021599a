/**
 * Reads a file, trains a tokenizer on it, and then encodes it. Prints seconds as JSON. For bench/tokenizer.mjs:
 *
 *     node bench/peers/foretoken_tokenizer.mjs FILE VOCAB_SIZE TOKENIZER_JSON
 */
import { readFileSync, writeFileSync } from "node:fs";
import { bpeTrainer } from "../../dist/tokenizer/bpe/learn/train.js";

const [file = "", vocabSize, out = ""] = process.argv.slice(2);
const began = performance.now();
const trainer = bpeTrainer({ vocabSize: Number(vocabSize) });
trainer.add(readFileSync(file));
const tokenizer = trainer.train();
const trained = performance.now();
writeFileSync(out, JSON.stringify(tokenizer));
const text = readFileSync(file, "utf8");
const encoding = performance.now();
const tokens = tokenizer.encode(text).length;
const encoded = performance.now();
console.log(JSON.stringify({ train: (trained - began) / 1000, encode: (encoded - encoding) / 1000, tokens }));
