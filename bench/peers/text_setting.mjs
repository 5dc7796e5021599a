/**
 * One training of bench/bpe.mjs. Trains on the first part of a text and evaluates at intervals on the next part. The
 * weights with the lowest loss there are measured on the held-out part.
 * Usage: text_setting.mjs JSON, with {"file", "config", "shares": [train, choose], "threads", "dtype"}, and
 * "characters" to use only the first part of the file.
 * Prints one JSON line: {"steps", "seconds", "chosen": {"step", "train", "choose", "heldOut", "bitsPerByte"}, "curve":
 * […]}: losses in nats per character.
 */
import { readFileSync } from "node:fs";
import { openBackend } from "../../dist/backend/select.node.js";
import { evaluate, measureTokens } from "../../dist/evaluate/evaluate.js";
import { trainTokenizer } from "../../dist/tokenizer/from-config.js";
import { readSnapshot } from "../../dist/trainer/state.js";
import { createTrainer } from "../../dist/trainer/trainer.js";

const { file, config, shares, threads, dtype, characters } = JSON.parse(process.argv[2]);
const text = [...readFileSync(file, "utf8")].slice(0, characters);
const ends = [0, shares[0], shares[0] + shares[1], 1].map((share) => Math.floor(share * text.length));
const parts = ends.slice(1).map((end, i) => text.slice(ends[i], end).join(""));
const [train, ...others] = parts;
const tokenizer = trainTokenizer(config.tokenizer, train, others.join(""));
const [tokens, choose, heldOut] = parts.map((part) => tokenizer.encode(part));
const backend = await openBackend("auto", { threads, dtype, manyRows: true });
const trainer = createTrainer(backend, config, tokenizer.vocabSize, tokens);
const measured = [choose, heldOut].map((ids) => measureTokens(ids, tokenizer));
const { steps, evalInterval, patience } = config.train;

const began = performance.now();
const curve = [];
let worse = 0;
let best = Number.POSITIVE_INFINITY;
let kept;
for (let step = 0; step < steps; ) {
  let sum = 0;
  const from = step;
  for (; step < steps && (step === from || step % evalInterval !== 0); step++) sum += (await trainer.step(step)).loss;
  const { natsPerCharacter } = await evaluate(trainer.model, measured[0]);
  const point = { step, train: sum / (step - from), choose: natsPerCharacter };
  curve.push(point);
  if (natsPerCharacter < best) {
    best = natsPerCharacter;
    worse = 0;
    kept = { point, state: await readSnapshot(trainer.snapshot()) };
  } else worse++;
  if (patience > 0 && worse >= patience) break;
}
trainer.restore(kept.state);
const { natsPerCharacter, bitsPerByte } = await evaluate(trainer.model, measured[1]);
console.log(
  JSON.stringify({
    parameters: trainer.model.layout.count,
    vocabSize: tokenizer.vocabSize,
    seconds: (performance.now() - began) / 1000,
    chosen: { ...kept.point, heldOut: natsPerCharacter, bitsPerByte },
    curve,
  }),
);
trainer.close();
await backend.close();
