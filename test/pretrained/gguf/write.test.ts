import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CheckpointError, ConfigError } from "#foretoken/core/errors/errors.js";
import { memorySource } from "#foretoken/io/byte-source.js";
import { openGgufFile } from "#foretoken/io/gguf/gguf.js";
import { ggufLength, ggufPieces } from "#foretoken/io/gguf/write.js";
import { arrayReader } from "#foretoken/models/arena.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { modelLayout } from "#foretoken/models/model.js";
import { collectWeights } from "#foretoken/pretrained/files/weights.js";
import { type GgufPretrained, pretrainedOfGguf } from "#foretoken/pretrained/gguf/gguf.js";
import { modelFile, type PlannedFile, recodedFile } from "#foretoken/pretrained/gguf/write/contents.js";
import { type GgufEncoding, ggufEncodings } from "#foretoken/pretrained/gguf/write/encodings.js";
import { saveGguf as saveInPage } from "#foretoken/pretrained/gguf/write/save.browser.js";
import { saveGguf } from "#foretoken/pretrained/gguf/write/save.node.js";
import { writtenEnds } from "#foretoken/pretrained/gguf/write/text.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import type { ChatTemplate } from "#foretoken/pretrained/model/language-model.js";
import { openPretrained } from "#foretoken/pretrained/open.node.js";
import { bpeTokenizer } from "#foretoken/tokenizer/bpe/bpe.js";
import { characterOfByte } from "#foretoken/tokenizer/bpe/byte-alphabet.js";
import { trainBpeTokenizer } from "#foretoken/tokenizer/bpe/learn/train.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { loadTokenizer } from "#foretoken/tokenizer/registry.js";
import type { Tokenizer } from "#foretoken/tokenizer/tokenizer.js";
import { join as joined, writeGguf } from "../../support/gguf.ts";
import { ggufConfigs, ggufModel } from "../../support/gguf-models.ts";
import { bookModel, groupedModel, hashedWeights } from "../../support/models.ts";
import { modelWithText } from "../../support/peft.ts";
import { useFolder } from "../../support/runs.ts";
import { modelNames, pieceTokenizer, sentencePieces } from "../../support/sentencepiece.ts";

const { newPath } = useFolder();

const bytesOf = async ({ contents }: PlannedFile): Promise<Uint8Array> => {
  const parts: Uint8Array[] = [];
  for await (const piece of ggufPieces(contents)) parts.push(piece);
  const bytes = joined(parts);
  expect(bytes.length).toBe(ggufLength(contents));
  return bytes;
};

const open = (bytes: Uint8Array): Promise<GgufPretrained> => pretrainedOfGguf(memorySource(bytes), "model.gguf");

const characters = [..."\n\t\\ abcé日😀\0"];
const char = charTokenizer(characters);

interface Given {
  readonly config?: ModelConfig;
  readonly tokenizer?: Tokenizer;
  readonly vocabSize?: number;
  readonly encoding?: GgufEncoding;
  readonly embedding?: GgufEncoding;
  readonly endTokens?: readonly number[];
  readonly chatTemplate?: ChatTemplate | null;
  readonly values?: Float32Array;
}

/** The file of a model with pseudo-random weights, and these weights. */
const written = async ({
  config = ggufConfigs.llama,
  tokenizer = char,
  vocabSize = tokenizer.vocabSize,
  encoding = "f32",
  embedding,
  endTokens = [],
  chatTemplate = null,
  values = hashedWeights(modelLayout(config, vocabSize)),
}: Given) => {
  const model = { where: "model", config, vocabSize, tokenizer, chatTemplate, endTokens };
  const planned = modelFile(model, "small", arrayReader(values), { encoding, embedding });
  return { values, planned, bytes: await bytesOf(planned) };
};

/**
 * The configuration without the rule for initial weights. No file contains this rule. Numbers are rounded to float32.
 */
const comparable = ({ initStd: _, zeroProjections: __, ...config }: ModelConfig): unknown =>
  JSON.parse(JSON.stringify(config, (_, value: unknown) => (typeof value === "number" ? Math.fround(value) : value)));

const phi3: ModelConfig = { ...ggufConfigs.llama, position: { kind: "rope", theta: 500, fraction: 0.5 } };
const configs: Readonly<Record<string, ModelConfig>> = {
  ...ggufConfigs,
  phi3,
  "llama with biases": { ...ggufConfigs.llama, bias: { qkv: true, projection: true, mlp: true } },
  "llama with Llama 3's scaling": {
    ...groupedModel,
    contextLength: 64,
    nLayer: 1,
    nEmbd: 32,
    mlp: { kind: "swiglu", hidden: 32 },
  },
  "llama with linear scaling": {
    ...ggufConfigs.llama,
    position: { kind: "rope", theta: 500, scaling: { kind: "linear", factor: 2 } },
  },
  "gpt2 with exact GELU": {
    ...ggufConfigs.gpt2,
    mlp: { kind: "gelu", approximate: "none", ratio: 2 },
    tieEmbeddings: false,
  },
};

describe("a model as a GGUF file", () => {
  it.each(Object.keys(configs))("of %s is read back, to the bit", async (name) => {
    const config = configs[name] ?? ggufConfigs.llama;
    const { bytes, values } = await written({ config });
    const found = await collectWeights(await open(bytes));
    expect(comparable(found.config)).toEqual(comparable(config));
    expect(found.values).toEqual(values);
  });

  it("of GPT-2 has zeros for biases that the model lacks", async () => {
    const config: ModelConfig = { ...bookModel, contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 16 };
    const { bytes } = await written({ config });
    const file = await openGgufFile(memorySource(bytes), "model.gguf");
    const bias = file.tensors.find(({ name }) => name === "blk.0.attn_qkv.bias");
    expect(await bias?.readRows(0, 1)).toEqual(new Float32Array(48));
    expect((await open(bytes)).config.bias.qkv).toBe(true);
  });

  it("has rows of padding after the tokens of its tokenizer", async () => {
    const { bytes } = await written({ vocabSize: 20 });
    const found = await open(bytes);
    expect(found).toMatchObject({ vocabSize: 20, tokenizer: { kind: "char", characters } });
  });

  // Rows with a length that blocks of every encoding divide.
  const wide: ModelConfig = {
    ...ggufConfigs.llama,
    nLayer: 1,
    nHead: 1,
    nKvHead: 1,
    nEmbd: 256,
    mlp: { kind: "swiglu", hidden: 256 },
    headDim: 256,
  };
  const wideValues = hashedWeights(modelLayout(wide, char.vocabSize));

  it.each(ggufEncodings)("in %s has matrices in it, and vectors in float32", async (encoding) => {
    const { bytes, planned } = await written({ config: wide, values: wideValues, encoding, embedding: "bf16" });
    expect(planned.fallbacks).toEqual([]);
    const { tensors } = await openGgufFile(memorySource(bytes), "model.gguf");
    for (const { name, shape, encoding: stored } of tensors) {
      const embedding = name === "token_embd.weight" || name === "output.weight";
      expect([name, stored.toLowerCase()]).toEqual([name, shape.length === 1 ? "f32" : embedding ? "bf16" : encoding]);
    }
  });

  it("says which matrices do not divide into blocks", async () => {
    const config: ModelConfig = {
      ...ggufConfigs.llama,
      nEmbd: 64,
      headDim: 16,
      mlp: { kind: "swiglu", hidden: 40 },
      nLayer: 1,
    };
    const { planned } = await written({ config, encoding: "q4_k" });
    expect(planned.fallbacks).toContainEqual({
      tensor: "blk.0.attn_q.weight",
      width: 64,
      wanted: "q4_k",
      encoding: "q5_0",
    });
    expect(planned.fallbacks).toContainEqual({
      tensor: "blk.0.ffn_down.weight",
      width: 40,
      wanted: "q4_k",
      encoding: "f16",
    });
    expect(planned.fallbacks).toContainEqual({ tensor: "output.weight", width: 64, wanted: "q6_k", encoding: "q8_0" });
  });

  it("has no name by which llama.cpp would look for other tokens", async () => {
    const config = ggufConfigs.llama;
    const values = hashedWeights(modelLayout(config, char.vocabSize));
    const model = { where: "m", config, vocabSize: char.vocabSize, tokenizer: char, chatTemplate: null, endTokens: [] };
    const names = await Promise.all(
      ["notes", "My-Phi-3"].map(async (name) => {
        const bytes = await bytesOf(modelFile(model, name, arrayReader(values), { encoding: "f32" }));
        return (await openGgufFile(memorySource(bytes), "m")).metadata.get("general.name");
      }),
    );
    expect(names).toEqual(["notes", undefined]);
  });

  it.each([
    [
      "Qwen3's bias of attention's output",
      { ...ggufConfigs.qwen3, bias: { qkv: true, projection: true, mlp: false } },
      /bias\.projection: must be false with qkNorm for a GGUF file/u,
    ],
    ["a mask that sees the future", { ...ggufConfigs.llama, mask: "none" }, /mask: must be causal/u],
    [
      "QK-norm with biases of the MLP",
      { ...ggufConfigs.qwen3, bias: { qkv: false, projection: false, mlp: true } },
      /must match an architecture/u,
    ],
  ] as const)("is refused for %s", async (_, config, says) => {
    const error = await written({ config }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as Error).message).toMatch(says);
  });
});

describe("a tokenizer in a GGUF file", () => {
  const texts = ["", "abc", "a\nb\t\\c é日😀\0", "\\n\\x00"];

  it("of characters names no end of a text, and is read back", async () => {
    const { bytes } = await written({});
    const { metadata } = await openGgufFile(memorySource(bytes), "model.gguf");
    expect(metadata.get("tokenizer.ggml.model")).toBe("rwkv");
    expect(metadata.has("tokenizer.ggml.eos_token_id")).toBe(false);
    // The token for a space. llama.cpp would crash without this token.
    expect(metadata.get("tokenizer.ggml.unknown_token_id")).toBe(characters.indexOf(" "));
    const { tokenizer, endTokens } = await open(bytes);
    expect(tokenizer.toJSON()).toEqual(char.toJSON());
    expect(endTokens).toEqual([]);
    for (const text of texts.filter((one) => !/[nx]/u.test(one)))
      expect(tokenizer.encode(text)).toEqual(char.encode(text));
  });

  it("of characters keeps special tokens", async () => {
    const given = charTokenizer(characters, ["<|endoftext|>", "<|turn|>"]);
    const { tokenizer, endTokens } = await open((await written({ tokenizer: given })).bytes);
    expect(tokenizer.toJSON()).toEqual(given.toJSON());
    expect([tokenizer.endOfText, endTokens]).toEqual([given.endOfText, [given.endOfText]]);
  });

  it.each(["gpt2", "gpt4", "llama3", "qwen2", "smollm"] as const)(
    "of bytes with the pattern %s is read back",
    async (pattern) => {
      const learned = trainBpeTokenizer(
        { vocabSize: 270, pattern, specialTokens: ["<|endoftext|>"] },
        "aa bb aab".repeat(9),
      );
      const { bytes } = await written({ tokenizer: learned });
      const { tokenizer, endTokens } = await open(bytes);
      const text = "aab aa bbé日 12345\r\n  e\u0301 don't";
      expect(tokenizer.encode(text)).toEqual(learned.encode(text));
      expect(tokenizer.specialTokens).toEqual(learned.specialTokens);
      expect(endTokens).toEqual([learned.endOfText]);
    },
  );

  it("has three ends of a text, the chat template's own first where it is one, or where the template writes it", async () => {
    const specialTokens = ["<|endoftext|>", "<|im_end|>", "<a>", "<b>"];
    const learned = trainBpeTokenizer({ vocabSize: 270, pattern: "gpt2", specialTokens }, "aa bb aab".repeat(9));
    const idOf = (name: string): number => learned.specialTokens.find((one) => one.name === name)?.id ?? -1;
    const [end, turn, a, b] = specialTokens.map(idOf) as [number, number, number, number];
    expect(learned.endOfText).toBe(end);
    const template = (text: string, eosToken: string) => ({ template: text, bosToken: "", eosToken });
    const endsOf = async (given: Partial<Given>) =>
      (await open((await written({ tokenizer: learned, ...given })).bytes)).endTokens;
    expect(await endsOf({ endTokens: [end, turn], chatTemplate: template("x", "<|im_end|>") })).toEqual([turn, end]);
    expect(await endsOf({ endTokens: [end], chatTemplate: template("x", "<|im_end|>") })).toEqual([end]);
    expect(await endsOf({ endTokens: [end], chatTemplate: template("{{ eos_token }}", "<|im_end|>") })).toEqual([
      turn,
      end,
    ]);
    expect(await endsOf({ endTokens: [turn, a, b], chatTemplate: template("x", "<b>") })).toEqual([b, turn, a]);
    const facts = { tokenizer: learned, vocabSize: 270, where: "m", chatTemplate: null };
    expect(writtenEnds({ ...facts, endTokens: [turn, a, b] })).toEqual({ kept: [turn, a, b], leftOut: [end] });
  });

  it("of bytes without special tokens ends with a token that no text has", async () => {
    const learned = trainBpeTokenizer({ vocabSize: 260, pattern: "gpt2", specialTokens: [] }, "aa bb aab".repeat(9));
    const { bytes } = await written({ tokenizer: learned });
    const { metadata } = await openGgufFile(memorySource(bytes), "model.gguf");
    const id = metadata.get("tokenizer.ggml.eos_token_id") as number;
    expect([...learned.bytes(id)]).toEqual([0xff]);
    expect(metadata.get("foretoken.eos_stand_in_token_id")).toBe(id);
    expect(metadata.get("tokenizer.ggml.bos_token_id")).toBe(id);
    // This token is a placeholder for llama.cpp only.
    const { endTokens, tokenizer } = await open(bytes);
    expect([endTokens, tokenizer.endOfText]).toEqual([[], null]);
    const template = { template: "{{ bos_token }}{{ eos_token }}", bosToken: "", eosToken: "" };
    const talking = await open((await written({ tokenizer: learned, chatTemplate: template })).bytes);
    expect(talking.chatTemplate).toEqual(template);
    const ending = await openGgufFile(memorySource((await written({ tokenizer: learned, endTokens: [5] })).bytes), "m");
    expect(ending.metadata.has("foretoken.eos_stand_in_token_id")).toBe(false);
  });

  it.each(modelNames)(
    "of SentencePiece, as %s, is read back, from a GGUF file and from a tokenizer.json",
    async (name) => {
      const given = pieceTokenizer(name, { add_bos_token: true });
      const { tokens, types } = sentencePieces.models[name];
      const json = await loadTokenizer(JSON.parse(JSON.stringify(given.toJSON())));
      for (const one of [given, json]) {
        const facts = { tokenizer: one, vocabSize: tokens.length + 3, endTokens: [tokens.indexOf("</s>")] };
        const { bytes } = await written(facts);
        const { metadata } = await openGgufFile(memorySource(bytes), "model.gguf");
        expect(metadata.get("tokenizer.ggml.model")).toBe(name === "unigram" ? "t5" : "llama");
        expect(metadata.get("tokenizer.ggml.token_type")).toEqual(Int32Array.of(...types, 5, 5, 5));
        expect(metadata.get("tokenizer.ggml.add_space_prefix")).toBe(name !== "gemma");
        const { tokenizer, endTokens } = await open(bytes);
        expect([tokenizer.beginOfText, endTokens]).toEqual([tokens.indexOf("<s>"), [tokens.indexOf("</s>")]]);
        expect(tokenizer.specialTokens).toEqual(given.specialTokens);
        for (const text of sentencePieces.texts) expect(tokenizer.encode(text)).toEqual(given.encode(text));
      }
    },
  );

  it("of SentencePiece without an end of text ends with a byte that no text has", async () => {
    const given = pieceTokenizer("llama", { add_bos_token: false, eos_token_id: undefined });
    const { bytes } = await written({ tokenizer: given });
    const { metadata } = await openGgufFile(memorySource(bytes), "model.gguf");
    expect([...given.bytes(metadata.get("tokenizer.ggml.eos_token_id") as number)]).toEqual([0xff]);
    const { tokenizer, endTokens } = await open(bytes);
    expect([tokenizer.beginOfText, endTokens]).toEqual([null, []]);
  });

  it.each([
    ["a normalizer", { normalizer: { type: "NFKC" } }, /llama\.cpp supports; got the normalizer unicode$/u],
    [
      "merges of some pairs",
      (json: { model: { merges: readonly unknown[] } }) => ({
        model: { ...json.model, merges: json.model.merges.filter((_, i) => i % 7 > 0) },
      }),
      /llama\.cpp supports; got merges that token scores cannot reproduce$/u,
    ],
  ])("of SentencePiece with %s is refused", async (_, change, says) => {
    const json = pieceTokenizer("gemma").toJSON() as never;
    const changes = typeof change === "function" ? change(json) : change;
    const tokenizer = await loadTokenizer({ ...(json as object), ...changes });
    await expect(written({ tokenizer, endTokens: [2] })).rejects.toThrow(says);
  });

  it.each([
    [
      "Unigram",
      {
        model: {
          type: "Unigram",
          vocab: [
            ["a", 0],
            ["b", -1],
          ],
          unk_id: 0,
        },
        decoder: null,
      },
      /byte-level BPE, SentencePiece or a character tokenizer; got a tokenizer of kind Unigram$/u,
    ],
  ])("of the kind %s is refused by name", async (_, json, says) => {
    const tokenizer = await loadTokenizer({
      version: "1.0",
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: null,
      post_processor: null,
      ...json,
    });
    await expect(written({ tokenizer })).rejects.toThrow(says);
  });

  it("with rules that llama.cpp has no name for is refused", async () => {
    const parts = { tokens: characterOfByte, merges: [], specialTokens: [], pattern: "gpt2" } as const;
    const tokenizer = bpeTokenizer({ ...parts, normalizer: "NFC" });
    await expect(written({ tokenizer })).rejects.toThrow(/rules that llama\.cpp supports; got pattern gpt2, NFC$/u);
  });
});

describe("a GGUF file in another encoding", () => {
  it("keeps its metadata, and copies matrices of the encoding", async () => {
    const bytes = writeGguf(ggufModel("llama").file);
    const once = await bytesOf(recodedFile(await openGgufFile(memorySource(bytes), "a"), { encoding: "q8_0" }, "a"));
    const twice = await bytesOf(recodedFile(await openGgufFile(memorySource(once), "b"), { encoding: "q8_0" }, "b"));
    expect(twice).toEqual(once);
    const [before, after] = await Promise.all([bytes, once].map((file) => openGgufFile(memorySource(file), "c")));
    for (const [key, pair] of before?.pairs ?? []) expect(after?.pairs.get(key), key).toEqual(pair);
    expect(after?.metadata.get("general.file_type")).toBe(7);
    expect((await open(once)).dtypes).toEqual(["Q8_0", "F32"]);
  });
});

describe("saveGguf", () => {
  it("writes a directory's model, whose logits come out again", async () => {
    const directory = await modelWithText("llama3", newPath());
    const folder = newPath();
    const notices: string[] = [];
    const path = join(folder, "small.gguf");
    const saved = await saveGguf(path, directory, { onNotice: (line) => notices.push(line) });
    expect(saved).toMatchObject({ path, fallbacks: [], from: ["F16"] });
    expect(notices).toEqual([expect.stringMatching(/unchecked/u)]);
    const [one, other] = await Promise.all(
      [directory, path].map(async (name) => collectWeights(await openPretrained(name))),
    );
    expect(other?.values).toEqual(one?.values);
    await expect(saveGguf(path, directory)).rejects.toThrow(/small\.gguf: the name must be free/u);
    await expect(saveGguf(path, path, { replace: true })).rejects.toThrow(/must not be the source model's own file/u);
    expect(await readdir(folder)).toEqual(["small.gguf"]);
  });

  it("gives the same bytes in a page", async () => {
    const lm = await loadPretrained(await modelWithText("qwen3", newPath()), { backend: "reference" });
    for (const encoding of ["f32", "q8_0"] as const) {
      const path = `${newPath()}.gguf`;
      await saveGguf(path, lm, { encoding, name: "model" });
      const file = await saveInPage(lm, { encoding });
      expect(file.size).toBe((await readFile(path)).length);
      expect(new Uint8Array(await file.arrayBuffer())).toEqual(new Uint8Array(await readFile(path)));
    }
    await lm.close();
    await expect(saveInPage(lm)).rejects.toThrow(/the model must be open/u);
  });

  it("writes nothing for a damaged model, a wrong name or an end by its signal", async () => {
    const folder = newPath();
    const bytes = writeGguf(ggufModel("llama").file);
    // The last number of the last tensor.
    new DataView(bytes.buffer).setFloat32(bytes.length - 4, Number.NaN, true);
    const damaged = `${newPath()}.gguf`;
    await writeFile(damaged, bytes);
    await expect(saveGguf(join(folder, "a.gguf"), damaged)).rejects.toThrow(CheckpointError);
    await expect(saveGguf(join(folder, "a.bin"), damaged)).rejects.toThrow(/must end with \.gguf/u);
    const directory = await modelWithText("gpt2", newPath());
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(saveGguf(join(folder, "a.gguf"), directory, { signal })).rejects.toThrow("enough");
    await expect(readdir(folder)).rejects.toThrow(/ENOENT/u);
  });
});
