import { beforeEach, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { ConfigError, ShapeError } from "#foretoken/core/errors/errors.js";
import { evaluateCorpus } from "#foretoken/evaluate/evaluate-corpus.js";
import { generate } from "#foretoken/generate/generate.js";
import { loraModel } from "#foretoken/models/lora/model.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { bookModel, hashedModel } from "../support/models.ts";
import { useFolder } from "../support/runs.ts";

const { newPath } = useFolder();

const characters = [..."abc"];
const config = { ...bookModel, contextLength: 4, nEmbd: 4, nHead: 2, nLayer: 1 };
let backend: Backend;
let lm: LanguageModel;
let closings: number;
beforeEach(async () => {
  backend = await openReference();
  closings = 0;
  lm = languageModel(hashedModel(backend, config, characters.length), charTokenizer(characters), async () => {
    closings++;
  });
});

describe("logits", () => {
  it("takes any array of ids", async () => {
    const { data, shape } = await lm.logits([0, 2, 1]);
    expect(shape).toEqual([3, 3]);
    expect((await lm.logits(Float64Array.of(0, 2, 1))).data).toEqual(data);
  });

  it.each([[1.7], [2 ** 32], [-1], [3], [Number.NaN], [-0.5]])("refuses the id %d as it was given", async (id) => {
    const error = await lm.logits([0, id]).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ShapeError);
    expect((error as Error).message).toBe(`model: token ids must be whole numbers in [0, 3); got ${id} at position 1`);
  });

  it.each([[[]], [[0, 1, 2, 0, 1]]])("refuses %j: none, or more than the context", async (ids) => {
    await expect(lm.logits(ids)).rejects.toThrow("a sequence must have 1 to 4 tokens");
  });
});

describe("close", () => {
  it("frees the weights and calls onClose, once however often it is called", async () => {
    await Promise.all([lm.close(), lm.close()]);
    await lm.close();
    expect(backend.bytesInUse()).toBe(0);
    expect(closings).toBe(1);
  });

  it("works after the backend has been closed", async () => {
    await backend.close();
    await lm.close();
    expect(closings).toBe(1);
  });

  const closed = (where: string): ConfigError =>
    new ConfigError({ where, must: "the model must be open", got: "a closed model" });
  const text = "abcabcabcabc";
  const corpus = { name: "text", train: "", val: text, parts: [{ where: "text", start: 0 }] };

  /** All functions that use a model. */
  const works = (own: LanguageModel): Readonly<Record<string, () => Promise<unknown>>> => ({
    logits: () => own.logits([0]),
    score: () => own.score(text),
    generate: () => generate(own, { prompt: "a" }).next(),
    evaluate: () => evaluateCorpus(own, corpus, { split: "all" }),
    savePretrained: () => savePretrained(newPath(), own),
  });

  const loaded = async (choice: "yours" | "wasm" | "reference"): Promise<LanguageModel> => {
    const directory = newPath();
    await savePretrained(directory, lm);
    return loadPretrained(directory, { backend: choice === "yours" ? backend : choice });
  };

  describe.each(["yours", "wasm", "reference"] as const)("on a backend: %s", (choice) => {
    it("is told by all work after it", async () => {
      const own = await loaded(choice);
      await own.close();
      for (const [where, work] of Object.entries(works(own))) await expect(work()).rejects.toThrow(closed(where));
    });

    it("is told by work that is under way, and leaves nothing behind", async () => {
      const before = backend.bytesInUse();
      for (const settings of [{}, { cache: false }, { maxNewTokens: 1 }]) {
        const own = await loaded(choice);
        const events = generate(own, { prompt: "a", ...settings });
        await events.next();
        await own.close();
        if ("maxNewTokens" in settings) expect((await events.next()).value).toMatchObject({ type: "done" });
        else await expect(events.next()).rejects.toThrow(closed("generate"));
        expect(backend.bytesInUse()).toBe(before);
      }
      const left = await loaded(choice);
      for await (const _ of generate(left, { prompt: "a" })) {
        await left.close();
        break;
      }
      const measured = await loaded(choice);
      const long = { ...corpus, val: text.repeat(1000) };
      const onProgress = (): Promise<void> => measured.close();
      await expect(evaluateCorpus(measured, long, { split: "all", onProgress })).rejects.toThrow(closed("evaluate"));
      for (const where of Object.keys(works(lm))) {
        const own = await loaded(choice);
        const work = works(own)[where]?.();
        const outcome = work?.then(
          () => "done",
          (error: unknown) => (error as Error).message,
        );
        await own.close();
        expect(["done", closed(where).message]).toContain(await outcome);
      }
      expect(backend.bytesInUse()).toBe(before);
    });
  });

  it("works after the model itself was closed, and frees both of a model and its adapters", async () => {
    const own = backend.bytesInUse();
    const base = hashedModel(backend, config, characters.length);
    const adapted = loraModel(base, { rank: 1 }, 1);
    const both = languageModel(base, charTokenizer(characters), undefined, { adapters: { own: adapted } });
    both.model.close();
    both.model.close();
    expect(backend.bytesInUse()).toBeGreaterThan(own);
    await both.close();
    expect(backend.bytesInUse()).toBe(own);
    // A closed backend has freed all memory.
    const last = hashedModel(backend, config, characters.length);
    await backend.close();
    last.close();
  });

  it("calls onClose where freeing fails, and fails", async () => {
    const close = (): never => {
      throw new Error("not to be freed");
    };
    const failing = languageModel({ ...lm.model, close }, charTokenizer(characters), async () => {
      closings++;
    });
    await expect(failing.close()).rejects.toThrow("not to be freed");
    expect(closings).toBe(1);
  });
});
