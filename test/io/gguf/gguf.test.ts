import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { CheckpointError } from "#foretoken/core/errors/errors.js";
import { memorySource } from "#foretoken/io/byte-source.js";
import { type GgufFile, openGgufFile } from "#foretoken/io/gguf/gguf.js";
import { readSafetensors } from "#foretoken/io/safetensors.js";
import { join, text, textBytes, u32, u32Bytes, u64Bytes, type WrittenTensor, writeGguf } from "../../support/gguf.ts";

const fixture = (name: string): Uint8Array => readFileSync(new URL(`../../fixtures/${name}`, import.meta.url));
const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.slice().buffer);
const open = (bytes: Uint8Array): Promise<GgufFile> => openGgufFile(memorySource(bytes), "model.gguf");

const failure = async (bytes: Uint8Array): Promise<string> => {
  const error = await open(bytes).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CheckpointError);
  return (error as Error).message;
};

const tensor = (extents: readonly number[], rest: Partial<WrittenTensor> = {}): WrittenTensor => ({
  extents,
  bytes: new Uint8Array(4 * extents.reduce((product, extent) => product * extent, 1)),
  ...rest,
});
const plain = (tensors: Readonly<Record<string, WrittenTensor>>, metadata = {}): Uint8Array =>
  writeGguf({ metadata, tensors });
const start = (version: number | Uint8Array, ...rest: readonly Uint8Array[]): Uint8Array =>
  join([new TextEncoder().encode("GGUF"), typeof version === "number" ? u32Bytes(version) : version, ...rest]);

describe("a file of PyPI's gguf", () => {
  const expected = readSafetensors(fixture("encodings.safetensors"), "encodings.safetensors").tensors;

  it.each([...expected.keys()])("has the same numbers in %s, to the bit", async (name) => {
    const { tensors } = await open(fixture("encodings.gguf"));
    const found = tensors.find((candidate) => candidate.name === name);
    expect(found?.encoding).toBe(name);
    expect(found?.shape).toEqual([2, 512]);
    expect(bitsOf((await found?.readRows(0, 2)) ?? new Float32Array())).toEqual(
      bitsOf(expected.get(name)?.data ?? new Float32Array()),
    );
    expect(bitsOf((await found?.readRows(1, 1)) ?? new Float32Array())).toEqual(
      bitsOf(expected.get(name)?.data.subarray(512) ?? new Float32Array()),
    );
  });

  it("has every encoding that is read", () => expect(expected.size).toBe(11));

  it("is not kept in memory by its tensors, apart from what they are", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const opened = async () => {
      const { metadata, pairs, tensors } = await open(fixture("encodings.gguf"));
      return { tensors, kept: [metadata, pairs].map((one) => new WeakRef(one)) };
    };
    const { tensors, kept } = await opened();
    // More than one collection: other threads (a compiler's, say) may still hold something of the function that ended.
    const still = () => {
      collect();
      return kept.filter((one) => one.deref() !== undefined);
    };
    await expect.poll(still, { timeout: 10_000 }).toEqual([]);
    expect(await tensors[0]?.readRows(0, 1)).toHaveLength(512);
  });

  it("has its metadata", async () => {
    const { metadata } = await open(fixture("encodings.gguf"));
    expect(Object.fromEntries(metadata)).toEqual({
      "general.architecture": "fixture",
      ...{ u8: 200, i8: -100, u16: 60000, i16: -30000, u32: 4e9, i32: -2e9, f32: 0.15625 },
      ...{ bool: true, text: "grüße\0\n", u64: 2n ** 63n + 1n, i64: -(2 ** 53) + 1, f64: 0.1 },
      ...{ u16s: Uint16Array.of(1, 65535), f32s: Float32Array.of(0.5, -2), bools: Uint8Array.of(1, 0) },
      ...{ texts: ["a", "", "ß"], lists: [Int32Array.of(1, 2), Int32Array.of(3)] },
    });
  });

  it.each([0, 3, 7, 11, 23, 24, 100, 500, 1000, 15_000])("is refused if it ends after %i bytes", async (length) => {
    expect(await failure(fixture("encodings.gguf").slice(0, length))).toMatch(/GGUF|truncated/);
  });
});

describe("openGgufFile", () => {
  it("reads version 2", async () => {
    const bytes = writeGguf({ version: 2, metadata: { a: u32(7) }, tensors: { w: tensor([4, 2]) } });
    const { metadata, tensors } = await open(bytes);
    expect([metadata.get("a"), tensors[0]?.shape]).toEqual([7, [2, 4]]);
  });

  it("takes another alignment", async () => {
    const metadata = { "general.alignment": u32(8) };
    const tensors = { a: tensor([1], { bytes: new Uint8Array(Float32Array.of(5).buffer) }), b: tensor([3]) };
    const file = await open(writeGguf({ metadata, tensors, alignment: 8 }));
    expect(await file.tensors[0]?.readRows(0, 1)).toEqual(Float32Array.of(5));
  });

  it.each([
    ["an empty file", new Uint8Array(), /begin with the letters GGUF/],
    ["another format", new TextEncoder().encode("PK\x03\x04 and so on"), /begin with the letters GGUF/],
    ["version 1", start(1, u32Bytes(0), u32Bytes(0)), /version 2 or 3, little-endian; got version 1$/],
    ["a later version", start(4, u64Bytes(0), u64Bytes(0)), /got version 4$/],
    ["a big-endian file", start(Uint8Array.of(0, 0, 0, 3), u64Bytes(0), u64Bytes(0)), /got a big-endian file/],
    [
      "more keys than there are bytes",
      start(3, u64Bytes(0), u64Bytes(2 ** 40)),
      /the metadata must end within the file/,
    ],
    ["more tensors than there are bytes", start(3, u64Bytes(2 ** 40), u64Bytes(0)), /list of tensors must end within/],
    [
      "a key longer than the file",
      start(3, u64Bytes(0), u64Bytes(1), u64Bytes(60_000), new Uint8Array(20)),
      /a key must end within/,
    ],
    [
      "a key without end",
      start(3, u64Bytes(0), u64Bytes(1), u64Bytes(2 ** 50), new Uint8Array(20)),
      /a key must have at most 65535 bytes/,
    ],
    [
      "a key in other bytes",
      start(3, u64Bytes(0), u64Bytes(1), u64Bytes(1), Uint8Array.of(0xff), u32Bytes(0), new Uint8Array(8)),
      /a key must be UTF-8/,
    ],
    [
      "a list longer than the file",
      start(3, u64Bytes(0), u64Bytes(1), textBytes("k"), u32Bytes(9), u32Bytes(0), u64Bytes(2 ** 33)),
      /k must end within the file/,
    ],
    [
      "a list of texts longer than the file",
      start(3, u64Bytes(0), u64Bytes(1), textBytes("k"), u32Bytes(9), u32Bytes(8), u64Bytes(100)),
      /k must end within the file/,
    ],
    [
      "an unknown type",
      start(3, u64Bytes(0), u64Bytes(1), textBytes("k"), u32Bytes(13), u64Bytes(0)),
      /k must have a type from 0 to 12; got 13/,
    ],
    [
      "a boolean of 2",
      start(3, u64Bytes(0), u64Bytes(1), textBytes("k"), u32Bytes(7), Uint8Array.of(2), new Uint8Array(8)),
      /k must be a boolean/,
    ],
    [
      "lists in lists without end",
      start(
        3,
        u64Bytes(0),
        u64Bytes(1),
        textBytes("k"),
        u32Bytes(9),
        ...Array.from({ length: 9 }, () => join([u32Bytes(9), u64Bytes(1)])),
      ),
      /lists nested at most 4 levels deep/,
    ],
    [
      "an alignment that is no power of two",
      plain({}, { "general.alignment": u32(24) }),
      /general.alignment must be a power of two/,
    ],
    ["an alignment of 0", plain({}, { "general.alignment": u32(0) }), /general.alignment must be a power of two/],
    [
      "an alignment in words",
      plain({}, { "general.alignment": text("32") }),
      /general.alignment must be a power of two/,
    ],
    ["a tensor of no size", plain({ w: tensor([0, 4]) }), /tensor "w": sizes must be 1 or more/],
    ["a tensor of five axes", plain({ w: tensor([1, 1, 1, 1, 1]) }), /must have 1 to 4 axes; got 5/],
    ["a tensor of no axes", plain({ w: tensor([]) }), /must have 1 to 4 axes; got 0/],
    [
      "an encoding that is not read",
      plain({ w: tensor([32], { type: 10 }) }),
      /must have the encoding F32, .* or BF16; got Q2_K/,
    ],
    ["an unknown encoding", plain({ w: tensor([32], { type: 99 }) }), /got type 99/],
    [
      "a part of a block",
      plain({ w: tensor([48], { type: 2 }) }),
      /must be a multiple of 32, the block length of Q4_0; got 48/,
    ],
    ["a place between two", plain({ w: tensor([1], { offset: 4 }) }), /its offset must be a multiple of 32; got 4/],
    ["a place after the end", plain({ w: tensor([1], { offset: 2 ** 40 }) }), /tensor "w": must end within the file/],
    [
      "a size that no file has",
      plain({ w: { extents: [2 ** 31, 2 ** 31], bytes: new Uint8Array(8) } }),
      /must end within the file/,
    ],
    [
      "sizes whose product overflows",
      plain({ w: { extents: [2 ** 52, 2 ** 52, 2 ** 52, 2 ** 52], bytes: new Uint8Array(8) } }),
      /must end within the file/,
    ],
    [
      "tensors that overlap",
      plain({ v: tensor([64]), w: tensor([64], { offset: 32 }) }),
      /tensor "w": must not overlap/,
    ],
  ])("refuses %s", async (_, bytes, message) => {
    expect(await failure(bytes)).toMatch(message);
  });

  it("refuses a key and a tensor that are there twice", async () => {
    const twice = start(
      3,
      u64Bytes(0),
      u64Bytes(2),
      ...[0, 1].map(() => join([textBytes("k"), u32Bytes(4), u32Bytes(1)])),
    );
    expect(await failure(twice)).toMatch(/every key must occur only once; got "k" twice/);
    const info = (offset: number): Uint8Array =>
      join([textBytes("w"), u32Bytes(1), u64Bytes(1), u32Bytes(0), u64Bytes(offset)]);
    expect(await failure(start(3, u64Bytes(2), u64Bytes(0), info(0), info(32), new Uint8Array(128)))).toMatch(
      /tensor "w": must occur only once/,
    );
  });

  it("reads no more of a header than it has to", async () => {
    const reads: number[] = [];
    const bytes = plain({ w: tensor([2 ** 22]) });
    const source = memorySource(bytes);
    const read = (offset: number, length: number): Promise<Uint8Array> => {
      reads.push(length);
      return source.read(offset, length);
    };
    await openGgufFile({ ...source, read }, "model.gguf");
    expect(reads).toEqual([2 ** 22]);
  });

  it("reads a header that is longer than the first bytes", async () => {
    const long = "x".repeat(5_000_000);
    const { metadata } = await open(plain({ w: tensor([1]) }, { long: text(long), last: u32(3) }));
    expect(metadata.get("last")).toBe(3);
  });
});
