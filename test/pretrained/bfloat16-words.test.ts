import { writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { describeBackends } from "#foretoken/backend/select.node.js";
import { fromBfloat16, toBfloat16 } from "#foretoken/core/tensors/dtype.js";
import { memorySource } from "#foretoken/io/byte-source.js";
import { openSafetensors } from "#foretoken/io/safetensors.js";
import { modelLayout } from "#foretoken/models/model.js";
import { type GgufPretrained, pretrainedOfGguf } from "#foretoken/pretrained/gguf/gguf.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { type WrittenTensor, writeGguf } from "../support/gguf.ts";
import { type GgufKind, ggufModel } from "../support/gguf-models.ts";
import { useFolder } from "../support/runs.ts";

const { newPath } = useFolder();
const { backends } = await describeBackends();
const native = backends.find(({ name }) => name === "native");
const narrow = native?.available === true && ["amx", "avx512bf16"].includes(native.instructionSet);
const title = narrow ? "" : " (this machine has no backend that multiplies from bfloat16)";

const bfloat16 = 30;
const numbersOf = ({ bytes }: WrittenTensor): Float32Array => new Float32Array(bytes.slice().buffer);
const wordsOf = (tensor: WrittenTensor): Uint16Array => toBfloat16(numbersOf(tensor));

/** Two files of a model with the same numbers: one with matrices in BF16, and one with all tensors in F32. */
const pairOf = (kind: GgufKind): readonly [words: Uint8Array, singles: Uint8Array] => {
  const { metadata, tensors } = ggufModel(kind).file;
  const matricesAs = (change: (tensor: WrittenTensor) => WrittenTensor): Uint8Array => {
    const changed = Object.entries(tensors).map(([name, tensor]) => [
      name,
      tensor.extents.length < 2 ? tensor : change(tensor),
    ]);
    return writeGguf({ metadata, tensors: Object.fromEntries(changed) });
  };
  return [
    matricesAs((tensor) => ({ ...tensor, type: bfloat16, bytes: new Uint8Array(wordsOf(tensor).buffer) })),
    matricesAs((tensor) => ({ ...tensor, bytes: new Uint8Array(fromBfloat16(wordsOf(tensor)).buffer) })),
  ];
};

const open = (bytes: Uint8Array): Promise<GgufPretrained> => pretrainedOfGguf(memorySource(bytes), "model.gguf");

describe.each(["llama", "gpt2", "qwen2", "qwen3"] as const)("a file of %s in BF16", (kind) => {
  it("hands its matrices out as words, in the places that their float32 has", async () => {
    const [words, singles] = pairOf(kind);
    const [narrowFile, wideFile] = [await open(words), await open(singles)];
    const layout = modelLayout(narrowFile.config, narrowFile.vocabSize);
    const [wanted, got] = [new Float32Array(layout.length), new Float32Array(layout.length)];
    await wideFile.weights.read(layout, { place: (values, offset) => wanted.set(values, offset) });
    await narrowFile.weights.read(layout, {
      place: (values, offset) => {
        expect(offset).toBeGreaterThanOrEqual(layout.decayed);
        got.set(values, offset);
      },
      placeWords: (values, offset) => got.set(fromBfloat16(values), offset),
    });
    expect(got).toEqual(wanted);
  });

  it.skipIf(!narrow)(`may have its vectors in BF16 as well${title}`, async () => {
    const { metadata, tensors } = ggufModel(kind).file;
    const fileOf = (change: (tensor: WrittenTensor) => WrittenTensor): Uint8Array =>
      writeGguf({
        metadata,
        tensors: Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, change(tensor)])),
      });
    const files = [
      fileOf((tensor) => ({ ...tensor, type: bfloat16, bytes: new Uint8Array(wordsOf(tensor).buffer) })),
      fileOf((tensor) => ({ ...tensor, bytes: new Uint8Array(fromBfloat16(wordsOf(tensor)).buffer) })),
    ];
    const logits = await Promise.all(
      files.map(async (bytes) => {
        const path = `${newPath()}.gguf`;
        await writeFile(path, bytes);
        const lm = await loadPretrained(path, { dtype: "auto" });
        expect(lm.model.frozen).toBe(true);
        const { data } = await lm.logits([1, 2, 3]);
        await lm.close();
        return data;
      }),
    );
    expect(logits[0]).toEqual(logits[1]);
  });

  it.skipIf(!narrow)(`computes the bits of the file in float32${title}`, async () => {
    const logits = await Promise.all(
      pairOf(kind).map(async (bytes) => {
        const path = `${newPath()}.gguf`;
        await writeFile(path, bytes);
        const lm = await loadPretrained(path, { backend: "native", dtype: "bfloat16" });
        expect(lm.model.frozen).toBe(true);
        const { data } = await lm.logits([1, 2, 3, 4, 5]);
        await lm.close();
        return data;
      }),
    );
    expect(logits[0]).toEqual(logits[1]);
  });
});

it("is refused for a word that is no finite number, which the error names with its place", async () => {
  const { metadata, tensors } = ggufModel("llama").file;
  const [name, tensor] = Object.entries(tensors).find(([, { extents }]) => extents.length === 2) ?? [];
  if (name === undefined || tensor === undefined) throw new Error("no matrix");
  const words = wordsOf(tensor);
  words[37] = 0xff80;
  const bad = { ...tensor, type: bfloat16, bytes: new Uint8Array(words.buffer) };
  const found = await open(writeGguf({ metadata, tensors: { ...tensors, [name]: bad } }));
  const layout = modelLayout(found.config, found.vocabSize);
  await expect(found.weights.read(layout, { place: () => {}, placeWords: () => {} })).rejects.toThrow(
    `${name} must hold finite numbers; got -Infinity at 37`,
  );
});

it("gives a safetensors file's rows as words in BF16 alone", async () => {
  const header = JSON.stringify({
    narrow: { dtype: "BF16", shape: [3, 2], data_offsets: [0, 12] },
    half: { dtype: "F16", shape: [2], data_offsets: [12, 16] },
  });
  const data = Uint16Array.of(0x3f80, 0xc000, 0x0001, 0x7f7f, 0x8000, 0x4049, 0x3c00, 0x3c00);
  const bytes = new Uint8Array(8 + header.length + data.byteLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(new TextEncoder().encode(header), 8);
  bytes.set(new Uint8Array(data.buffer), 8 + header.length);
  const [stored, half] = await openSafetensors(memorySource(bytes), "model.safetensors");
  expect(await stored?.readWords?.(1, 2)).toEqual(data.slice(2, 6));
  expect(half?.readWords).toBeUndefined();
});
