import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import { generate } from "#foretoken/generate/generate.js";
import type { CheckpointFiles } from "#foretoken/pretrained/files/names.js";
import { loadPretrained as loadInBrowser } from "#foretoken/pretrained/load.browser.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { train as trainInBrowser } from "#foretoken/train/train.browser.js";
import { train } from "#foretoken/train/train.node.js";
import {
  anyBackend,
  checkpointHashes,
  collect,
  ofType,
  timelessMetrics,
  tinyRun,
  useFolder,
  wordsText,
} from "../../support/runs.ts";

const { newPath, writeText } = useFolder();
const on = { ...anyBackend, finalSampleTokens: 5 } as const;
/** Only a few pairs occur twice. So there are about twenty tokens in addition to the bytes. */
const config = { ...tinyRun, tokenizer: { kind: "bpe", vocabSize: 270, specialTokens: ["<|endoftext|>"] } } as const;
const text = wordsText("bpe", 300);

let data = "";
let source = "";
beforeAll(async () => {
  data = await writeText(text);
  source = newPath();
  await collect(train({ preset: "book", config, data, out: source, ...on }));
});

const tokenizerOf = (run: string): Promise<string> => readFile(join(run, "checkpoint/tokenizer.json"), "utf8");

describe("a run with byte-level BPE", () => {
  it("writes samples, and is measured in bits per byte as in nats per token", async () => {
    const metrics = await timelessMetrics(source);
    const samples = metrics.filter((event) => (event as { readonly type: string }).type === "sample");
    expect(samples.length).toBeGreaterThan(0);
    const lm = await loadPretrained(join(source, "best"), anyBackend);
    expect(lm.tokenizer).toMatchObject({ kind: "bpe", vocabSize: 270 });
    const found = await evaluate(lm, { data, split: "val" });
    // The text is ASCII, so each character is one byte.
    expect(found.bitsPerByte).toBeCloseTo(found.natsPerCharacter / Math.LN2, 10);
    expect(found.natsPerCharacter).toBeLessThan(found.natsPerToken);
    await lm.close();
  });

  it("gives the bytes of the uninterrupted run when it is resumed", async () => {
    const out = newPath();
    await collect(train({ preset: "book", config, data, out, stopAt: 7, ...on }));
    await collect(train({ resume: out, ...anyBackend }));
    expect(await checkpointHashes(out)).toEqual(await checkpointHashes(source));
  });

  it("generates after any prompt", async () => {
    const lm = await loadPretrained(join(source, "best"), anyBackend);
    for (const prompt of ["the cat", "日本語 \u{1f600}\u0000", "<|endoftext|>"]) {
      let ids = 0;
      for await (const event of generate(lm, { prompt, maxNewTokens: 4, stop: [] })) if ("id" in event) ids++;
      expect(ids, prompt).toBeGreaterThan(0);
    }
    await lm.close();
  });

  it("hands its tokenizer on to a run that begins with its weights", async () => {
    const out = newPath();
    const other = await writeText(`${wordsText("other", 200)}Zürich`);
    await collect(
      train({ preset: "book", initFrom: source, data: other, out, config: { train: tinyRun.train }, ...on }),
    );
    expect(await tokenizerOf(out)).toBe(await tokenizerOf(source));
  });

  it("refuses to begin with weights of another vocabulary or pattern", async () => {
    for (const [field, value] of Object.entries({ vocabSize: 300, pattern: "gpt4" })) {
      const tokenizer = { kind: "bpe", [field]: value } as const;
      const out = newPath();
      const asked = { train: tinyRun.train, tokenizer } as const;
      const begun = collect(train({ preset: "book", initFrom: source, data, out, config: asked, ...on }));
      await expect(begun).rejects.toThrow(`config.tokenizer.${field}: must match the weights in`);
    }
  });

  it("trains on a string, in Node and in pages", async () => {
    // Both runs use the reference backend. In a page, a compiled backend would read its kernels from the files of the
    // page.
    const exact = { ...on, backend: "reference" } as const;
    const small = { ...config, train: { ...tinyRun.train, steps: 2, evalInterval: 2, checkpointInterval: 2 } };
    const inNode = await collect(train({ text, out: null, config: small, ...exact }));
    const given: CheckpointFiles[] = [];
    const onCheckpoint = (files: CheckpointFiles): void => void given.push(files);
    const inPage = await collect(trainInBrowser({ text, config: small, onCheckpoint, ...exact }));
    expect(ofType(inPage, "eval").at(-1)?.valLoss).toBe(ofType(inNode, "eval").at(-1)?.valLoss);
    const lm = await loadInBrowser(given.at(-1) as CheckpointFiles, { backend: "reference" });
    expect(lm.tokenizer.kind).toBe("bpe");
    expect(lm.tokenizer.decode(lm.tokenizer.encode(text))).toBe(text);
    await lm.close();
  });
});
