import { expect, it } from "vitest";
import { runConfigSchema } from "#foretoken/config/config.js";
import { presets } from "#foretoken/config/presets.js";
import { CheckpointError } from "#foretoken/core/errors/errors.js";
import { fixedConfig } from "#foretoken/runs/same-config.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { defaultTokenizer } from "#foretoken/tokenizer/config.js";
import { trainTokenizer } from "#foretoken/tokenizer/from-config.js";
import { loadTokenizer } from "#foretoken/tokenizer/registry.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";

it("makes the tokenizer that a configuration names, for all parts of a text", () => {
  const tokenizer = trainTokenizer({ kind: "char" }, "ba", "c");
  expect(tokenizer.toJSON()).toEqual(trainCharTokenizer("ba", "c").toJSON());
  expect(tokenizer).toMatchObject({ kind: "char", vocabSize: 3, specialTokens: [], endOfText: null });
});

it("reads what it made", async () => {
  const tokenizer = trainTokenizer(defaultTokenizer, "ba\n");
  expect((await loadTokenizer(JSON.parse(JSON.stringify(tokenizer)))).toJSON()).toEqual(tokenizer.toJSON());
  await expect(loadTokenizer({ model: { type: "Unigram" } })).rejects.toThrow(CheckpointError);
});

it("is part of a run's configuration, whose default is the tokenizer of all runs before", () => {
  const { tokenizer, ...before } = presets.book;
  expect(runConfigSchema.parse(before)).toEqual(presets.book);
  expect(tokenizer).toEqual({ kind: "char" });
  // Existing checkpoints recognize their run by the hash of this text.
  expect(fixedConfig(runConfigSchema.parse(before))).toBe(fixedConfig(before));
  expect(fixedConfig({ ...before, tokenizer: { kind: "words" } })).not.toBe(fixedConfig(before));
});

it("refuses a kind that there is not, by name", () => {
  const change = { tokenizer: { kind: "chars" } };
  expect(() => resolveConfig("book", [change])).toThrow(
    'config.tokenizer.kind: must be char, bpe, sentencepiece or hugging-face; got "chars"; try char',
  );
  expect(() => resolveConfig("book", [{ tokenizer: { size: 1 } }])).toThrow(/config\.tokenizer: every key must be/u);
});
