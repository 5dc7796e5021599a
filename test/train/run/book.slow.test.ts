import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openBackend } from "#foretoken/backend/select.node.js";
import { presets } from "#foretoken/config/presets.js";
import { loadCorpus } from "#foretoken/data/corpora.node.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { train } from "#foretoken/train/train.node.js";
import { createTrainer } from "#foretoken/trainer/trainer.js";
import { compiled, forEachBackend } from "../../support/backends.ts";
import { checkpointHashes, collect, ofType, useFolder } from "../../support/runs.ts";

/** The reference task, on the text of its definition. The text is not in the repository. */
const folder = process.env.FORETOKEN_CORPORA;
const hasText = folder !== undefined && existsSync(join(folder, "tiny-shakespeare.txt"));
const needsText = hasText ? "" : " (skipped: FORETOKEN_CORPORA names no folder with tiny-shakespeare.txt)";

const { newPath, writeText } = useFolder();

describe.skipIf(!hasText)(`book on Tiny Shakespeare${needsText}`, () => {
  it("has learned as much after 250 steps as it should, and never more than the text allows", async () => {
    const config = { train: { steps: 250 } };
    const events = await collect(
      train({ preset: "book", data: "tiny-shakespeare", config, out: null, finalSampleTokens: 0 }),
    );
    const start = ofType(events, "start")[0];
    expect(start).toMatchObject({ parameters: 824_832, vocabSize: 65, trainTokens: 1_003_854, valTokens: 111_540 });
    // The first loss is the loss of an untrained model.
    expect(Math.abs((ofType(events, "step")[0]?.loss ?? 0) - Math.log(65))).toBeLessThan(0.1);
    const [measured] = ofType(events, "eval");
    expect(measured?.tokens).toBe(111_539);
    // A bigram model of this text has a loss of about 2.45 nats.
    expect(measured?.valLoss).toBeLessThan(2.52);
    expect(measured?.valLoss).toBeGreaterThan(2.3);
  });
});

forEachBackend(
  `book at its full size${needsText}`,
  ({ name }) => {
    it.skipIf(!hasText)("gives the same bytes with one thread and with two, resumed or not", async () => {
      const config = { train: { steps: 4, checkpointInterval: 2, evalInterval: 4 } };
      // Validation on a tenth of the whole text would take far longer than the steps. On this text, validation has two
      // full passes and a partial pass.
      const whole = await readFile(join(folder ?? "", "tiny-shakespeare.txt"), "utf8");
      const valData = await writeText(whole.slice(-10_000));
      const start = async (threads: number, stopAt?: number): Promise<string> => {
        const out = newPath();
        const text = { data: "tiny-shakespeare", valData } as const;
        const options = { preset: "book", ...text, config, out, backend: name, threads } as const;
        await collect(train({ ...options, stopAt, finalSampleTokens: 0 }));
        return out;
      };
      const expected = await checkpointHashes(await start(1));
      expect(await checkpointHashes(await start(2))).toEqual(expected);
      const resumed = await start(2, 3);
      await collect(train({ resume: resumed, backend: name, threads: 1 }));
      expect(await checkpointHashes(resumed)).toEqual(expected);
    });

    it.skipIf(!hasText)("takes no more memory after its first steps", async () => {
      const backend = await openBackend(name);
      const corpus = await loadCorpus("tiny-shakespeare");
      const tokenizer = trainCharTokenizer(corpus.train, corpus.val);
      const trainer = createTrainer(backend, presets.book, tokenizer.vocabSize, tokenizer.encode(corpus.train));
      for (let step = 0; step < 3; step++) await trainer.step(step);
      const before = process.memoryUsage().rss;
      for (let step = 3; step < 15; step++) await trainer.step(step);
      // The activations of a step need about 300 MB. The test would fail if the activations of one step leaked or
      // stayed during the next step.
      expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20);
      trainer.close();
      await backend.close();
    });
  },
  compiled,
);
