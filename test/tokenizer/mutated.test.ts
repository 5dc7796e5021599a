import { expect, test } from "vitest";
import { ForetokenError } from "#foretoken/core/errors/errors.js";
import { randomKey, randomStream } from "#foretoken/core/random.js";
import { parseJson } from "#foretoken/pretrained/files/checkpoint-json.js";
import { trainBpeTokenizer } from "#foretoken/tokenizer/bpe/learn/train.js";
import { loadTokenizer } from "#foretoken/tokenizer/registry.js";
import { modelNames, pieceTokenizer } from "../support/sentencepiece.ts";
import { fixture } from "./fixture.js";

const text = "the cat sat on the mat, 123 naïve 😀\n";

const own = trainBpeTokenizer({ vocabSize: 300, specialTokens: ["<|endoftext|>"] }, text.repeat(3)).toJSON();
const pieces = modelNames.map((name) => pieceTokenizer(name, { add_bos_token: true }).toJSON());
const others = Object.values(fixture.others).map(({ json }) => json);
const originals: readonly string[] = [own, ...others, ...pieces].map((json) => JSON.stringify(json));

const random = randomStream(randomKey(7, "batches"));
const oneOf = <Value>(values: readonly Value[]): Value => values[random.integer(values.length)] as Value;

const values: readonly unknown[] = [
  ...[null, true, false, 0, -1, 0.5, 1e9, 2 ** 31, 1e300, "", "a", "__proto__", "constructor", [], {}, [[]]],
  ...[["a", "b"], ["a"], { type: "BPE" }, "x".repeat(1000), { Regex: "(" }, { Regex: "\\p{L}+" }, "\ud800"],
];

/** Replaces, removes or renames a value at a random place. */
const mutate = (json: unknown): void => {
  let node = json as Record<string, unknown>;
  for (;;) {
    const keys = Object.keys(node);
    const key = oneOf(keys);
    const child = node[key];
    // Continues inside the value, because most of a file is nested.
    if (typeof child === "object" && child !== null && Object.keys(child).length > 0 && random.integer(4) > 0) {
      node = child as Record<string, unknown>;
      continue;
    }
    const way = random.integer(4);
    if (way === 0) delete node[key];
    else if (way === 1) node[Array.isArray(node) ? String(keys.length) : String(oneOf(values))] = child;
    else
      Object.defineProperty(node, key, { value: oneOf(values), enumerable: true, configurable: true, writable: true });
    return;
  }
};

const tryIt = async (json: unknown): Promise<"refused" | "loaded"> => {
  try {
    const tokenizer = await loadTokenizer(json, "file");
    expect(tokenizer.vocabSize).toBeLessThan(10_000);
    const ids = tokenizer.encode(text);
    for (const id of ids) expect(id >= 0 && id < tokenizer.vocabSize).toBe(true);
    tokenizer.decode(ids);
    if (tokenizer.kind === "bpe") expect(tokenizer.decode(ids)).toBe(text);
    return "loaded";
  } catch (error) {
    if (!(error instanceof ForetokenError)) throw error;
    expect(error.message).not.toContain("\n");
    expect(error.message.length).toBeLessThan(300);
    return "refused";
  }
};

test("damaged files are refused in one line, or are tokenizers", async () => {
  const outcomes = { refused: 0, loaded: 0 };
  for (let i = 0; i < 700; i++) {
    const json: unknown = JSON.parse(oneOf(originals));
    for (let times = 1 + random.integer(3); times > 0; times--) mutate(json);
    outcomes[await tryIt(json)]++;
  }
  expect(outcomes.refused).toBeGreaterThan(50);
  expect(outcomes.loaded).toBeGreaterThan(50);
  expect(Object.keys(Object.prototype)).toEqual([]);
});

test("damaged bytes are refused in one line, or are tokenizers", async () => {
  for (let i = 0; i < 100; i++) {
    const bytes = new TextEncoder().encode(oneOf(originals));
    for (let times = 1 + random.integer(3); times > 0; times--)
      bytes[random.integer(bytes.length)] = random.integer(256);
    let json: unknown;
    try {
      json = parseJson(bytes, "file");
    } catch (error) {
      expect(error).toBeInstanceOf(ForetokenError);
      continue;
    }
    await tryIt(json);
  }
});

test("__proto__ is a token as any other", async () => {
  const json = JSON.parse(originals[0] ?? "") as { model: { vocab: Record<string, number>; merges: unknown[] } };
  const size = Object.keys(json.model.vocab).length;
  const [first, second] = [size + 1, size + 2];
  const file = JSON.stringify(json)
    .replace('"vocab":{', `"vocab":{"__":${first},"__proto__":${second},"proto__":${first + 2},`)
    .replace('"merges":[', '"merges":[["_","_"],["__","proto__"],');
  const read = await loadTokenizer(parseJson(new TextEncoder().encode(file), "file", { maxBytes: 1e6, anyKey: true }));
  expect(read.token(second)).toBe("__proto__");
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});
