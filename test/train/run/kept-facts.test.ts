import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { CheckpointFiles } from "#foretoken/pretrained/files/names.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { openPretrained } from "#foretoken/pretrained/open.node.js";
import { train as trainInPage } from "#foretoken/train/train.browser.js";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import { writeGguf } from "../../support/gguf.ts";
import { endId, ggufModel, ggufVocabSize, turnId } from "../../support/gguf-models.ts";
import { anyBackend, collect, smallRun, useFolder, wordsText } from "../../support/runs.ts";

const { newPath, writeText } = useFolder();

const said = { template: "{{ messages }}", bosToken: "", eosToken: "<|end|>" };

/** Chat template and end tokens from a model's files. */
const factsOf = async (path: string): Promise<unknown> => {
  const { weights, chatTemplate, endTokens } = await openPretrained(path);
  await weights.close();
  return { chatTemplate, endTokens };
};

/** A GGUF file with a chat template and two tokens that end a text. */
const talker = async (): Promise<string> => {
  const path = `${newPath()}.gguf`;
  await writeFile(path, writeGguf(ggufModel("llama").file));
  return path;
};

describe("a run that begins with a model for conversations", () => {
  const expected = { chatTemplate: said, endTokens: [endId, turnId] };
  const config = { train: { ...smallRun.train, steps: 6 } } as NonNullable<NewRun["config"]>;

  it("keeps its chat template and end tokens in all checkpoints, resumed too", async () => {
    const out = newPath();
    const data = await writeText(wordsText("talk", 200));
    const options = {
      preset: "shakespeare",
      initFrom: await talker(),
      data,
      out,
      config,
      ...anyBackend,
    } as const;
    expect(await factsOf(options.initFrom)).toEqual(expected);
    await collect(train({ ...options, stopAt: 3, finalSampleTokens: 3 }));
    expect(await factsOf(join(out, "checkpoint"))).toEqual(expected);
    await collect(train({ resume: out, ...anyBackend }));
    for (const name of ["checkpoint", "best"]) expect(await factsOf(join(out, name))).toEqual(expected);
    // The next run, which begins with this run's weights, keeps them too.
    const next = newPath();
    await collect(train({ ...options, initFrom: out, out: next, finalSampleTokens: 3 }));
    expect(await factsOf(join(next, "best"))).toEqual(expected);
  });

  it("hands them out with the checkpoints of a page", async () => {
    const source = await loadPretrained(await talker(), anyBackend);
    const { savePretrained } = await import("#foretoken/pretrained/save.browser.js");
    const initFrom = await savePretrained(source);
    await source.close();
    const got: CheckpointFiles[] = [];
    const onCheckpoint = (files: CheckpointFiles): void => {
      got.push(files);
    };
    const text = wordsText("page", 200);
    await collect(
      trainInPage({
        preset: "shakespeare",
        text,
        initFrom,
        config,
        onCheckpoint,
        backend: "reference",
        finalSampleTokens: 3,
      }),
    );
    expect(got.length).toBeGreaterThan(1);
    for (const files of got) {
      const lm = await loadPretrained(files, anyBackend);
      expect({ chatTemplate: lm.chatTemplate, endTokens: lm.endTokens }).toEqual(expected);
      await lm.close();
    }
  });

  it("leaves out an end token that no row of its embedding is left for", async () => {
    const source = await loadPretrained(await talker(), anyBackend);
    const { keptFacts } = await import("#foretoken/pretrained/files/pretrained-files.js");
    const { tokenizer, chatTemplate } = source;
    const facts = keptFacts({ tokenizer, chatTemplate, endTokens: [endId, ggufVocabSize] });
    expect(facts).toEqual({ chatTemplate: said, endTokens: [endId] });
    await source.close();
  });
});
