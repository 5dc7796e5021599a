import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { memorySource } from "#foretoken/io/byte-source.js";
import { encoders } from "#foretoken/io/gguf/encoders/encoders.js";
import { encodings } from "#foretoken/io/gguf/encodings.js";
import { openGgufFile } from "#foretoken/io/gguf/gguf.js";
import { halfBits, halfValue } from "#foretoken/io/half.js";
import { readSafetensors } from "#foretoken/io/safetensors.js";

const fixture = (name: string): Uint8Array => readFileSync(new URL(`../../fixtures/${name}`, import.meta.url));
const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.slice().buffer);
const open = () => openGgufFile(memorySource(fixture("quantized.gguf")), "quantized.gguf");
const all = Object.values(encoders);

const widened = (values: Float32Array, encoder: (typeof all)[number]): Float32Array =>
  encodings.get(encoder.type)?.widen(encoder.encode(values)) ?? new Float32Array();

const squares = (values: ArrayLike<number>): number =>
  Array.from(values).reduce((sum, value) => sum + value * value, 0);

describe("the fixture of scripts/fixtures/make-quantized.py", () => {
  const expected = readSafetensors(fixture("quantized.safetensors"), "quantized.safetensors").tensors;

  it.each(all)("has the bytes that $name is encoded in", async (encoder) => {
    const { tensors } = await open();
    const [numbers, stored] = ["F32", encoder.name].map((name) => tensors.find((tensor) => tensor.name === name));
    expect(stored?.encoding).toBe(encoder.name);
    const bytes = encoder.encode((await numbers?.readRows(0, 2)) ?? new Float32Array());
    expect(bytes).toEqual(new Uint8Array((await stored?.readBytes(0, 2)) ?? []));
  });

  it.each([...expected.keys()])("has the numbers that PyPI's gguf reads in %s, to the bit", async (name) => {
    const tensor = (await open()).tensors.find((found) => found.name === name);
    const values = (await tensor?.readRows(0, 2)) ?? new Float32Array();
    expect(bitsOf(values)).toEqual(bitsOf(expected.get(name)?.data ?? new Float32Array()));
  });

  it("has every encoding that is written", () => expect(expected.size).toBe(all.length - 1));
});

describe("an encoder", () => {
  /** Random numbers with the distribution of weights. */
  const weights = Float32Array.from({ length: 4096 }, (_, i) => Math.sin(i * i) + Math.sin(3.7 * i) * Math.cos(i / 9));

  it.each(all.filter(({ name }) => name !== "F32"))("of $name encodes numbers up to its largest", (encoder) => {
    const most = weights.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const extreme = weights.map((value) => (value / most) * encoder.largest);
    // Both signs in one block.
    extreme.set([encoder.largest, -encoder.largest]);
    const values = widened(extreme, encoder);
    const errors = values.map((value, i) => (value - (extreme[i] as number)) / encoder.largest);
    expect(squares(errors) / squares(extreme.map((value) => value / encoder.largest))).toBeLessThan(0.01);
    expect(Math.max(...errors.map(Math.abs))).toBeLessThan(0.12);
  });

  // The smallest binary16 number is 6e-8. If scales were rounded to the nearest binary16 number, whole blocks would be lost.
  it.each(all.filter(({ name }) => name !== "F32"))("of $name encodes small numbers nearly as well", (encoder) => {
    const scaled = (size: number): Float32Array => weights.map((value) => value * size);
    const errorAt = (size: number): number => {
      const numbers = scaled(size);
      const errors = widened(numbers, encoder).map((value, i) => value - (numbers[i] as number));
      return Math.sqrt(squares(errors) / squares(numbers));
    };
    for (const size of [3e-5, 1e-5, 3e-6]) expect(errorAt(size)).toBeLessThan(1.3 * errorAt(1) + 0.01);
    for (const size of [1e-6, 3e-7, 1e-7, 1e-8, 1e-9, 1e-20]) {
      expect(errorAt(size)).toBeLessThan(Math.min(1.1 * errorAt(1) + 2e-8 / size, 1.001));
    }
  });

  // Measured errors plus a tenth, so that a worse search would fail. The errors of llama.cpp's quantizer are 1.1 to 1.3
  // times as large.
  it.each([
    ["Q8_0", 1.9e-5],
    ["Q6_K", 2.3e-4],
    ["Q5_1", 1.01e-3],
    ["Q5_0", 1.3e-3],
    ["Q5_K", 1.07e-3],
    ["Q4_1", 4.4e-3],
    ["Q4_0", 5.4e-3],
    ["Q4_K", 4.5e-3],
  ] as const)("of %s has a small error", (name, most) => {
    const values = widened(weights, encoders[name]);
    expect(squares(values.map((value, i) => value - (weights[i] ?? 0))) / squares(weights)).toBeLessThan(most);
  });

  it.each(all)("of $name keeps zeros, and equal numbers of few bits", (encoder) => {
    expect(widened(new Float32Array(256), encoder).every((value) => value === 0)).toBe(true);
    for (const value of [1, -0.5, 2048]) {
      for (const found of widened(new Float32Array(256).fill(value), encoder)) {
        expect(Math.abs(found - value)).toBeLessThanOrEqual(Math.abs(value) * 0.002);
      }
    }
  });

  it.each(all)("of $name gives finite numbers for tiny and huge ones", (encoder) => {
    for (const size of [1e-38, 1e-12, 1e-7, 3e4, 6e4, 1e8, 1e30]) {
      // Binary16 cannot represent numbers of this size, so they are refused earlier.
      if (encoder.name === "F16" && size > 65_504) continue;
      const values = widened(
        weights.map((value) => (size * value) / 2),
        encoder,
      );
      expect(values.every(Number.isFinite)).toBe(true);
    }
  });

  it.each(all)("of $name has a nearly exact result for a block of its own levels", (encoder) => {
    const once = widened(weights, encoder);
    const twice = widened(once, encoder);
    expect(squares(twice.map((value, i) => value - (once[i] ?? 0)))).toBeLessThan(
      squares(once.map((value, i) => value - (weights[i] ?? 0))) + 1e-12,
    );
  });
});

describe("an encoder with importances", () => {
  const width = 512;
  const values = Float32Array.from({ length: 8 * width }, (_, i) => Math.sin(i * i) + Math.sin(3.7 * i) / 2);
  /** Some columns have a thousand times the importance of other columns, as in trained models. */
  const importance = Float64Array.from({ length: width }, (_, i) => 10 ** (3 * Math.abs(Math.sin(i * i * 0.7))));
  const inBlocks = all.filter(({ blockLength }) => blockLength > 1);

  const weightedError = (found: Float32Array): number =>
    found.reduce((sum, value, i) => sum + (importance[i % width] ?? 0) * (value - (values[i] ?? 0)) ** 2, 0);
  const decoded = (encoder: (typeof all)[number], bytes: Uint8Array): Float32Array =>
    encodings.get(encoder.type)?.widen(bytes) ?? new Float32Array();

  it.each(inBlocks)("of $name has a smaller weighted error", (encoder) => {
    const plain = weightedError(decoded(encoder, encoder.encode(values)));
    expect(weightedError(decoded(encoder, encoder.encode(values, importance)))).toBeLessThan(0.95 * plain);
  });

  it.each(inBlocks)(
    "of $name depends only on the ratios of the importances, and repeats them for each row",
    (encoder) => {
      const bytes = encoder.encode(values, importance);
      expect(
        encoder.encode(
          values,
          importance.map((one) => 1024 * one),
        ),
      ).toEqual(bytes);
      const rows = Array.from({ length: 8 }, (_, row) =>
        encoder.encode(values.subarray(row * width, (row + 1) * width), importance),
      );
      expect(Buffer.concat(rows)).toEqual(Buffer.from(bytes));
    },
  );
});

describe("halfBits", () => {
  const all16 = Array.from({ length: 2 ** 16 }, (_, bits) => bits);

  it("gives back every binary16", () => {
    const wrong = all16.filter((bits) => !Number.isNaN(halfValue(bits)) && halfBits(halfValue(bits)) !== bits);
    expect(wrong).toEqual([]);
    expect(Number.isNaN(halfValue(halfBits(Number.NaN)))).toBe(true);
  });

  it("rounds to the nearest, ties to even", () => {
    const wrong = all16.slice(0, 0x7c00 - 1).filter((bits) => {
      const [low, high] = [halfValue(bits), halfValue(bits + 1)];
      const step = high - low;
      return (
        halfBits((low + high) / 2) !== bits + (bits % 2) ||
        halfBits(Math.fround(low + step * 0.49)) !== bits ||
        halfBits(-Math.fround(low + step * 0.51)) !== (0x8000 | (bits + 1))
      );
    });
    expect(wrong).toEqual([]);
    expect([65_519, 65_520, 1e9, Number.POSITIVE_INFINITY].map(halfBits)).toEqual([0x7bff, 0x7c00, 0x7c00, 0x7c00]);
  });
});
