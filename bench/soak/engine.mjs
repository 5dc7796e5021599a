/**
 * Keeps an engine busy with many texts: prompts of many lengths, shared beginnings, aborts, pauses. After a tenth of
 * the time, measurements begin. They are the memory of the backend and of the process, the pages of the KV cache, and
 * the time of a pass for each number of rows.
 * Prints these figures, and the same quantile for a loop that only counts, because other processes delay both. Fails if pages or memory of the backend are not freed. Also fails if the resident set grows by
 * more than 32 MiB after the first tenth of the time.
 */
import { openBackend } from "../../dist/backend/select.node.js";
import { createSequenceEngine } from "../../dist/engine/engine.js";
import { createPace } from "../../dist/engine/pace.js";
import { pageBytes } from "../../dist/engine/page-memory.js";
import { createChain } from "../../dist/generate/sampling/chain.js";
import { plainSampling } from "../../dist/generate/sampling/settings.js";
import { freshModel } from "../../dist/models/model.js";
import { runConfig } from "../lib/configs.mjs";
import { count, digits, mebibytes, median, textTable } from "../lib/statistics.mjs";
import { randomOf } from "./lib/random.mjs";
import { machineStalls, quantile } from "./lib/stalls.mjs";

const allowedRise = 32 * 2 ** 20;
const vocabSize = 256;
/** With fewer measurements, a 99.9th percentile has no meaning. */
const fewestPasses = 1000;

/**
 * @param {{ config: string, minutes: number, seed: number, backend: "auto" | "native" | "wasm" | "reference", threads: number }} options
 */
export const engine = async ({ config: name, minutes, seed, backend: backendName, threads }) => {
  const { real: random, below } = randomOf(seed, "engine");
  const backend = await openBackend(backendName, { threads });
  const { model: config } = runConfig(name);
  const model = freshModel(backend, { ...config, contextLength: 512 }, vocabSize, 1);
  const weights = backend.bytesInUse();
  /**
   * Milliseconds of the passes, grouped by the number of rows (tokens of texts and positions of prompts). Each group
   * covers a factor of 2^(1/8).
   */
  const passes = new Map();
  const inner = createPace();
  const pace = {
    positions: inner.positions,
    note(milliseconds, wrote, read) {
      inner.note(milliseconds, wrote, read);
      // Earlier passes are not counted, because they compile code and use memory for the first time.
      if (settled === 0) return;
      const size = Math.round(8 * Math.log2(wrote + read));
      if (!passes.has(size)) passes.set(size, []);
      passes.get(size).push(milliseconds);
    },
  };
  /** The resident set after a tenth of the time, when its size no longer changes much. */
  let settled = 0;
  const writer = createSequenceEngine(model, { cacheBytes: 200 * pageBytes(model), maxSequences: 32, pace });
  const commons = Array.from({ length: 8 }, () => Array.from({ length: 20 + below(200) }, () => below(vocabSize)));
  const until = performance.now() + 60_000 * minutes;
  const counts = { texts: 0, ended: 0, failed: 0 };

  const text = async () => {
    const own = Array.from({ length: 1 + below(random() < 0.05 ? 600 : 60) }, () => below(vocabSize));
    const prompt = random() < 0.5 ? [...commons[below(commons.length)], ...own] : own;
    const chain = createChain({ sampling: { ...plainSampling, topK: 40 }, seed: below(1e6) }, prompt);
    const maxNewTokens = 1 + below(80);
    const endsAfter = random() < 0.3 ? below(maxNewTokens) : Number.POSITIVE_INFINITY;
    let written = 0;
    const writing = writer.write({
      model,
      prompt,
      maxNewTokens,
      choose(logits) {
        if (written++ >= endsAfter) writing.end();
        return chain.next(logits);
      },
    });
    if (random() < 0.05) setTimeout(writing.end, below(50));
    if (random() < 0.1) {
      writing.pause(true);
      setTimeout(() => writing.pause(false), below(20));
    }
    counts.texts++;
    if (endsAfter < maxNewTokens) counts.ended++;
    await writing.ended.catch((error) => {
      counts.failed++;
      console.error(error);
    });
  };
  const reader = async () => {
    while (performance.now() < until) await text();
  };
  const watch = setTimeout(() => {
    settled = process.memoryUsage.rss();
  }, 6000 * minutes);
  await Promise.all(Array.from({ length: 40 }, reader));
  clearTimeout(watch);
  const rise = process.memoryUsage.rss() - settled;
  const { computed, reused, passes: passCount, pagesInUse, pagesKept, pagesMost, running, waiting } = writer.counts();
  await writer.close();
  const left = backend.bytesInUse() - weights;
  model.close();
  await backend.close();

  const rows = [["rows of a pass, about", "passes", "median", "p99.9", "p99.9 / median"]];
  for (const [size, times] of [...passes].sort(([a], [b]) => a - b)) {
    if (times.length < fewestPasses) continue;
    const [middle, slow] = [median(times), quantile(times, 0.999)];
    rows.push([
      String(Math.round(2 ** (size / 8))),
      count(times.length),
      `${digits(middle)} ms`,
      `${digits(slow)} ms`,
      `${digits(slow / middle)}×`,
    ]);
  }
  console.log(textTable(rows));
  const [most] = [...passes.values()].sort((a, b) => b.length - a.length);
  if (most !== undefined && most.length >= fewestPasses) {
    const { middle, slow } = await machineStalls({ milliseconds: median(most), threads, seconds: 10 * minutes ** 0.5 });
    console.log(
      `the machine itself: loops of ${digits(middle)} ms on ${threads} threads have a p99.9 of ${digits(slow)} ms (${digits(slow / middle)}×)`,
    );
  }
  console.log(
    `${count(counts.texts)} texts, ${count(counts.ended)} ended early, ${count(counts.failed)} failed; ${count(computed)} positions computed, ${count(reused)} reused, in ${count(passCount)} passes`,
  );
  console.log(
    `pages in use at the end: ${pagesInUse}; kept ${pagesKept} of ${pagesMost}; memory left: ${left} bytes; resident set: ${mebibytes(rise)} more`,
  );
  const failed =
    counts.failed +
    (pagesInUse === 0 && running === 0 && waiting === 0 ? 0 : 1) +
    (left === 0 ? 0 : 1) +
    (rise > allowedRise ? 1 : 0);
  console.log(failed === 0 ? "engine: nothing lost" : `engine: ${failed} FAILED`);
  return { ...counts, computed, reused, passes: passCount, rise, left, failed };
};
