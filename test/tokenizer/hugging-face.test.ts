import { expect, test } from "vitest";
import { CheckpointError, DataError } from "#foretoken/core/errors/errors.js";
import { tokenizerConfigOf, trainTokenizer } from "#foretoken/tokenizer/from-config.js";
import { noTokenizer } from "#foretoken/tokenizer/none.js";
import { loadTokenizer } from "#foretoken/tokenizer/registry.js";
import { textStream } from "#foretoken/tokenizer/text-stream.js";
import { fixture } from "./fixture.js";

const kinds = [
  ["unigram", "sentencepiece"],
  ["wordpiece", "hugging-face"],
  ["llama2", "sentencepiece"],
] as const;

test.each(kinds)("%s: ids and texts are those of tokenizers", async (kind, own) => {
  const { json, samples } = fixture.others[kind];
  const tokenizer = await loadTokenizer(json);
  expect(tokenizer.kind).toBe(own);
  expect(tokenizer.toJSON()).toBe(json);
  for (const { text, ids, decoded } of samples) {
    const encoded = tokenizer.encode(text);
    expect([...encoded], text).toEqual(ids);
    // The tokenizers "unigram" and "wordpiece" lose unknown characters.
    const known = kind === "llama2" || encoded.every((id) => tokenizer.bytes(id).length > 0);
    if (known) expect(tokenizer.decode(encoded), text).toBe(decoded);
  }
});

test("Llama 2's bytes: a space, a byte's own token, and a text that streams", async () => {
  const tokenizer = await loadTokenizer(fixture.others.llama2.json);
  const ids = tokenizer.encode("the quick 😀\n");
  const pieces = Array.from(ids, (id) => tokenizer.bytes(id));
  expect(new TextDecoder().decode(Uint8Array.from(pieces.flatMap((piece) => [...piece])))).toBe(" the quick 😀\n");
  expect(pieces.at(-1)).toEqual(Uint8Array.of(10));
  const stream = textStream(tokenizer);
  expect(Array.from(ids, (id) => stream.push(id)).join("") + stream.end()).toBe(" the quick 😀\n");
  // This space is not part of the whole text.
  expect(tokenizer.decode(ids)).toBe("the quick 😀\n");
});

test("a configuration stands for a tokenizer, and cannot train one of another program", async () => {
  expect(tokenizerConfigOf(await loadTokenizer(fixture.others.wordpiece.json))).toEqual({ kind: "hugging-face" });
  expect(tokenizerConfigOf(await loadTokenizer(fixture.others.unigram.json))).toEqual({ kind: "sentencepiece" });
  expect(tokenizerConfigOf(await loadTokenizer(fixture.patterns.gpt4.json))).toMatchObject({
    kind: "bpe",
    pattern: "gpt4",
    specialTokens: ["<|im_end|>"],
  });
  for (const kind of ["sentencepiece", "hugging-face"] as const) {
    expect(() => trainTokenizer({ kind }, "text")).toThrow("must come with the weights");
  }
});

test("a file that the library cannot read is refused in one line", async () => {
  for (const json of [null, 1, [], {}, { model: null }, { model: { type: "Other" } }, { model: { type: "Unigram" } }]) {
    await expect(loadTokenizer(json, "file")).rejects.toThrow(CheckpointError);
  }
});

test("without a tokenizer, text is refused and says what to do", () => {
  const none = noTokenizer("model.gguf", 10);
  expect(none).toMatchObject({ kind: "none", vocabSize: 10, specialTokens: [], endOfText: null });
  for (const use of [() => none.encode("a"), () => none.decode([1]), () => none.bytes(1), () => none.token(1)]) {
    expect(use).toThrow(DataError);
    expect(use).toThrow(/^model\.gguf: text needs a tokenizer; got a model without a tokenizer; try logits\(ids\)/);
  }
});
