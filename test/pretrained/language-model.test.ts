import { beforeEach, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { ShapeError } from "#foretoken/core/errors.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/language-model.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { bookModel, hashedModel } from "../support/models.ts";

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

  it("calls onClose where freeing fails, and fails", async () => {
    backend.alloc("float32", 4);
    lm.model.close();
    await expect(lm.close()).rejects.toThrow();
    expect(closings).toBe(1);
  });
});
