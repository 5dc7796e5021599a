/** Damaged or forged files. The seed determines the changes. Each file is refused in one line, or it loads. */
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { CheckpointError, longestMessage } from "#foretoken/core/errors/errors.js";
import { type ByteSource, memorySource } from "#foretoken/io/byte-source.js";
import { openGgufFile } from "#foretoken/io/gguf/gguf.js";
import { collectWeights } from "#foretoken/pretrained/files/weights.js";
import { pretrainedOfGguf } from "#foretoken/pretrained/gguf/gguf.js";
import { type TypedValue, type WrittenFile, writeGguf } from "../../support/gguf.ts";
import { type GgufKind, ggufConfigs, ggufModel } from "../../support/gguf-models.ts";
import { hashInteger, hashWord } from "../../support/hash.ts";

/** False numbers. */
const hostile = [
  0n,
  1n,
  2n,
  3n,
  7n,
  0x7fn,
  0x8000n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 40n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** A source of random numbers below a bound. */
type Draw = (bound: number) => number;

const drawOf = (name: string): Draw => {
  let count = 0;
  return (bound) => (bound < 2 ** 16 ? hashInteger(name, count++, bound) : hashWord(name, count++) % bound);
};

const setNumber = (bytes: Uint8Array, at: number, width: 4 | 8, value: bigint): void => {
  const view = new DataView(bytes.buffer);
  if (width === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
  else view.setBigUint64(at, BigInt.asUintN(64, value), true);
};

const spliced = (bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array =>
  new Uint8Array(Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]));

/** Damages the bytes of a file. `header` is the number of bytes before the data. */
const damaged = (original: Uint8Array, header: number, draw: Draw): Uint8Array => {
  const bytes = original.slice();
  // Half of the changes are near the beginning: counts, lengths and the first keys.
  const place = (): number => draw(draw(2) === 0 ? 400 : header - 8);
  switch (draw(6)) {
    case 0:
      return bytes.slice(0, draw(bytes.length));
    case 1:
      for (let i = draw(4); i >= 0; i--) bytes[place()] = draw(256);
      return bytes;
    case 2:
      setNumber(bytes, place(), 8, hostile[draw(hostile.length)] ?? 0n);
      return bytes;
    case 3:
      setNumber(bytes, place(), 4, hostile[draw(hostile.length)] ?? 0n);
      return bytes;
    case 4:
      return spliced(bytes, place(), draw(16), new Uint8Array());
    default:
      return spliced(
        bytes,
        place(),
        0,
        Uint8Array.from({ length: draw(16) }, () => draw(256)),
      );
  }
};

const someValue = (draw: Draw): TypedValue => {
  const number = Number(hostile[draw(hostile.length)]);
  const values: readonly TypedValue[] = [
    { type: "u32", value: number % 2 ** 32 },
    { type: "u32", value: draw(64) },
    { type: "u64", value: Math.min(number, Number.MAX_SAFE_INTEGER) },
    { type: "i32", value: -draw(100) },
    { type: "f32", value: [0, -1, 1e-30, Number.NaN, Number.POSITIVE_INFINITY, 1e38][draw(6)] ?? 0 },
    { type: "bool", value: draw(2) === 0 },
    { type: "text", value: ["", "gpt2", "llama", "\u{1f642}\n\u0000", "x".repeat(5000)][draw(5)] ?? "" },
    { type: "texts", value: Array.from({ length: draw(4) }, () => "a") },
    { type: "i32s", value: Array.from({ length: draw(4) }, () => draw(1000) - 500) },
  ];
  return values[draw(values.length)] ?? { type: "u32", value: 0 };
};

/**
 * A complete file with wrong information: a field with another value, or a tensor with another size, encoding or place.
 */
const forged = ({ metadata, tensors, ...rest }: WrittenFile, draw: Draw): Uint8Array => {
  const keys = Object.keys(metadata);
  const names = Object.keys(tensors);
  const key = keys[draw(keys.length)] ?? "";
  const name = names[draw(names.length)] ?? "";
  const tensor = tensors[name];
  if (tensor === undefined) throw new Error("the file has tensors");
  const withTensor = (change: object): WrittenFile => ({
    ...rest,
    metadata,
    tensors: { ...tensors, [name]: { ...tensor, ...change } },
  });
  const lie = Math.min(Number(hostile[draw(hostile.length)]), Number.MAX_SAFE_INTEGER);
  switch (draw(6)) {
    case 0:
    case 1:
      return writeGguf({ ...rest, tensors, metadata: { ...metadata, [key]: someValue(draw) } });
    case 2: {
      const { [key]: _, ...others } = metadata;
      return writeGguf({ ...rest, tensors, metadata: others });
    }
    case 3:
      return writeGguf(withTensor({ extents: tensor.extents.map((extent, i) => (i === draw(2) ? lie : extent)) }));
    case 4:
      return writeGguf(withTensor({ type: draw(40) }));
    default:
      return writeGguf(withTensor({ offset: draw(2) === 0 ? lie : 32 * draw(4000) }));
  }
};

/** A source of bytes. The source fails the test if a read is outside the file or larger than the file. */
const watched = (bytes: Uint8Array, outside: string[]): ByteSource => {
  const source = memorySource(bytes);
  return {
    ...source,
    read: (offset, length) => {
      if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length)) outside.push(`${length} at ${offset}`);
      return source.read(offset, length);
    },
  };
};

const outcomes = { loaded: 0, refused: 0 };

/**
 * Opens and reads a file. An error must be one line, and its class must be one of the project's classes. The memory
 * used must not exceed the size of the file by much.
 */
const judge = async (name: string, bytes: Uint8Array, load: (source: ByteSource) => Promise<void>): Promise<void> => {
  const outside: string[] = [];
  const before = process.memoryUsage().rss;
  try {
    await load(watched(bytes, outside));
    outcomes.loaded++;
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw new Error(`${name}: ${String(error)}`, { cause: error });
    expect(error.message.length, name).toBeLessThanOrEqual(longestMessage);
    expect(error.message, name).not.toMatch(/[\n\r]/u);
    outcomes.refused++;
  }
  expect(outside, name).toEqual([]);
  expect(process.memoryUsage().rss - before, name).toBeLessThan(100 * 2 ** 20);
};

const loadModel = async (source: ByteSource): Promise<void> => {
  const { values } = await collectWeights(await pretrainedOfGguf(source, "model.gguf"));
  expect(values.every(Number.isFinite)).toBe(true);
};

const loadTensors = async (source: ByteSource): Promise<void> => {
  const { tensors } = await openGgufFile(source, "model.gguf");
  for (const { shape, readRows } of tensors) await readRows(0, shape.length < 2 ? 1 : (shape[0] ?? 1));
};

describe("mutated files", () => {
  // Most files of each format are refused. Some files load, because the damage is in a number of the weights or in a
  // field without effect.
  afterAll(() => {
    expect(outcomes.refused).toBeGreaterThan(400);
    expect(outcomes.loaded).toBeGreaterThan(20);
  });

  it.each(Object.keys(ggufConfigs) as readonly GgufKind[])("of %s: 80 damaged and 80 forged", async (kind) => {
    const { file } = ggufModel(kind);
    const whole = writeGguf(file);
    const header = whole.length - Object.values(file.tensors).reduce((sum, { bytes }) => sum + bytes.length, 0);
    for (let i = 0; i < 80; i++) {
      const name = `${kind} ${i}`;
      await judge(`damaged ${name}`, damaged(whole, header, drawOf(`damaged ${name}`)), loadModel);
      await judge(`forged ${name}`, forged(file, drawOf(`forged ${name}`)), loadModel);
    }
  });

  it("of every encoding: 80 damaged", async () => {
    const whole = new Uint8Array(readFileSync(new URL("../../fixtures/encodings.gguf", import.meta.url)));
    for (let i = 0; i < 80; i++)
      await judge(`encodings ${i}`, damaged(whole, 1000, drawOf(`encodings ${i}`)), loadTensors);
  });
});
