/** A model with a SentencePiece tokenizer. The model is loaded from a GGUF file, trained and exported. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import { saveGguf } from "#foretoken/pretrained/gguf/write/save.node.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { languageModel } from "#foretoken/pretrained/model/language-model.js";
import { train } from "#foretoken/train/train.node.js";
import { loadInWorker } from "#foretoken/worker/model.node.js";
import { groupedModel, hashedModel } from "../../support/models.ts";
import { anyBackend, checkpointHashes, collect, ofType, smallRun, useFolder } from "../../support/runs.ts";
import { pieceTokenizer, sentencePieces } from "../../support/sentencepiece.ts";

const { newPath, writeText } = useFolder();
const tokenizer = pieceTokenizer("llama", { add_bos_token: true });
const text = sentencePieces.texts
  .join("\n")
  .replaceAll(/[\0\u007f]/gu, "")
  .repeat(2);

let file = "";
let data = "";
beforeAll(async () => {
  file = `${newPath()}.gguf`;
  data = await writeText(text);
  const backend = await openReference();
  const model = hashedModel(backend, { ...groupedModel, contextLength: 48 }, tokenizer.vocabSize);
  await saveGguf(file, languageModel(model, tokenizer, undefined, { endTokens: [tokenizer.endOfText ?? 0] }));
});

describe("a model with a SentencePiece tokenizer", () => {
  it.each([
    ["all of its weights", {}],
    ["adapters", { lora: { rank: 2 } }],
  ])("keeps it where a run trains %s, and has the loss of the run", async (_, more) => {
    const config = { ...more, train: { ...smallRun.train, steps: 4, dtype: "float32" } } as const;
    const options = {
      preset: "shakespeare",
      initFrom: file,
      data,
      config,
      finalSampleTokens: 3,
      ...anyBackend,
    } as const;
    const out = newPath();
    const evals = ofType(await collect(train({ ...options, out })), "eval");
    const lm = await loadPretrained(join(out, "checkpoint"), { ...anyBackend, asInTraining: true });
    expect(lm.tokenizer).toMatchObject({ kind: "sentencepiece", beginOfText: tokenizer.beginOfText });
    for (const one of sentencePieces.texts) expect(lm.tokenizer.encode(one)).toEqual(tokenizer.encode(one));
    expect((await evaluate(lm, { data })).natsPerToken).toBe(evals.at(-1)?.valLoss);
    await lm.close();
    const stopped = newPath();
    await collect(train({ ...options, out: stopped, stopAt: 2 }));
    await collect(train({ resume: stopped, ...anyBackend }));
    expect(await checkpointHashes(stopped)).toEqual(await checkpointHashes(out));
  });

  it("writes in a worker as it does here", async () => {
    const lm = await loadInWorker(file, anyBackend);
    expect(lm.tokenizer.encode("the miller's 😀")).toEqual(tokenizer.encode("the miller's 😀"));
    let [written, end] = ["", ""];
    for await (const event of lm.generate({ prompt: "the mill", maxNewTokens: 12, seed: 3 })) {
      if (event.type === "token") written += event.text;
      else end = event.text;
    }
    expect(written).toBe(end);
    await lm.close();
  });
});
