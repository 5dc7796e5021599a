/**
 * An unpaired surrogate is not text. All functions that take text refuse it, and it never becomes another character.
 */
import { expect, it, test } from "vitest";
import { DataError } from "#foretoken/core/errors/errors.js";
import * as foretoken from "#foretoken/index.js";
import { loadTokenizer } from "#foretoken/tokenizer/registry.js";
import { readText } from "#foretoken/tokenizer/unknown.js";
import { smallRun } from "../support/runs.ts";
import { fixture } from "./fixture.ts";

const half = "a\n\u{1f600}b\ud83d c";
const at = "got half of a surrogate pair, U+D83D, at line 2, column 3 (character 5)";
const small = foretoken.trainBpeTokenizer({ vocabSize: 260 }, "the cat sat");

test.each([
  ["bpe", () => small],
  ["unigram", () => loadTokenizer(fixture.others.unigram.json)],
  ["llama2", () => loadTokenizer(fixture.others.llama2.json)],
])("%s: is not encoded, and can be left out", async (_, load) => {
  const tokenizer = await load();
  expect(() => tokenizer.encode(half, "prompt")).toThrow(`prompt: text must be well-formed Unicode; ${at}`);
  expect(() => tokenizer.encode(half, "notes.txt", "one\n")).toThrow(/at line 3, column 3 \(character 9\)/u);
  const read = readText(tokenizer, half, "skip", "prompt", "");
  expect(read.skipped).toEqual({ count: 1, characters: ["\ud83d"] });
  expect(read.ids).toEqual(tokenizer.encode("a\n\u{1f600}b c"));
});

it("teaches no tokenizer anything", () => {
  expect(() => foretoken.trainCharTokenizer(half)).toThrow(`tokenizer: text must be well-formed Unicode; ${at}`);
  expect(() => foretoken.trainBpeTokenizer({ vocabSize: 260 }, half)).toThrow(at);
});

const failureOf = async (work: AsyncIterable<unknown> | Promise<unknown>): Promise<unknown> => {
  try {
    if (work instanceof Promise) await work;
    else for await (const _ of work);
    return undefined;
  } catch (error) {
    return error;
  }
};

it("is refused as a prompt, a text to measure, a message, and a text to train on", async () => {
  const backend = await foretoken.openBackend("reference");
  const model = foretoken.freshModel(backend, foretoken.presets.quick.model, small.vocabSize, 1);
  const chatTemplate = { template: "", bosToken: "", eosToken: "" };
  const lm = foretoken.languageModel(model, small, undefined, { chatTemplate });
  const run = {
    backend: "reference",
    preset: "quick",
    config: { ...smallRun, tokenizer: { kind: "bpe", vocabSize: 260 } },
  };
  const messages = [{ role: "user", content: half }] as const;
  const works = {
    generate: foretoken.generate(lm, { prompt: half }),
    score: lm.score(half),
    evaluate: foretoken.evaluate(lm, { text: half }),
    "evaluate documents": foretoken.evaluate(lm, { documents: [{ text: half }] }),
    chat: foretoken.chat(lm, { messages }),
    train: foretoken.train({ ...run, text: `${"some text ".repeat(90)}${half}` } as never),
    "train documents": foretoken.train({ ...run, documents: [{ text: half }, { text: "b" }] } as never),
  };
  for (const [name, work] of Object.entries(works)) {
    const error = await failureOf(work);
    expect(error, name).toBeInstanceOf(name === "chat" ? foretoken.ConfigError : DataError);
    expect((error as Error).message, name).toContain(" must be well-formed Unicode");
  }
  await lm.close();
  await backend.close();
});
