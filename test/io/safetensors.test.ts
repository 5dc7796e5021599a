import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CheckpointError, ShapeError } from "#foretoken/core/errors/errors.js";
import { fromBfloat16, toBfloat16 } from "#foretoken/core/tensors/dtype.js";
import { joinChunks, readSafetensors, safetensorsPieces, writeSafetensors } from "#foretoken/io/safetensors.js";
import { codePoint } from "../support/code-points.ts";

const where = "model.safetensors";

/** A file with this header and `dataBytes` zero bytes of data. The header may be invalid. */
const forge = (header: string, dataBytes = 0, declared?: bigint): Uint8Array => {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, declared ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
};

const entry = (shape: unknown, offsets: unknown, dtype: unknown = "F32"): object => ({
  dtype,
  shape,
  data_offsets: offsets,
});

const tensors = fc
  .uniqueArray(
    fc.string({ unit: codePoint }).filter((name) => name !== "__metadata__"),
    { maxLength: 5 },
  )
  .chain((names) =>
    fc.tuple(
      ...names.map((name) =>
        fc.array(fc.nat(3), { maxLength: 3 }).chain((shape) => {
          const length = shape.reduce((size, extent) => size * extent, 1);
          return fc
            .float32Array({ minLength: length, maxLength: length })
            .map((data) => ({ name, shape, data: new Float32Array(data) }));
        }),
      ),
    ),
  );

describe("safetensors", () => {
  it("come back as they were written, to the bit", () => {
    fc.assert(
      fc.property(tensors, fc.dictionary(fc.string(), fc.string()), (written, metadata) => {
        const file = readSafetensors(writeSafetensors(written, metadata), where);
        expect(file.metadata).toEqual({ ...metadata });
        expect(file.tensors.size).toBe(written.length);
        for (const { name, shape, data } of written) {
          const read = file.tensors.get(name);
          expect(read?.shape).toEqual(shape);
          expect(new Uint32Array(read?.data.slice().buffer ?? new ArrayBuffer(0))).toEqual(
            new Uint32Array(data.slice().buffer),
          );
        }
      }),
    );
  });

  it("are the same bytes in whatever order they come", () => {
    fc.assert(
      fc.property(tensors, (written) => {
        const bytes = writeSafetensors(written, { b: "2", a: "1" });
        expect(writeSafetensors([...written].reverse(), { a: "1", b: "2" })).toEqual(bytes);
        expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
      }),
    );
  });

  it("are read from any place in a larger buffer", () => {
    const bytes = writeSafetensors([{ name: "w", shape: [2], data: Float32Array.of(1.5, -2) }]);
    for (let shift = 0; shift < 4; shift++) {
      const larger = Buffer.alloc(bytes.length + shift);
      larger.set(bytes, shift);
      const read = readSafetensors(larger.subarray(shift), where);
      expect([...(read.tensors.get("w")?.data ?? [])]).toEqual([1.5, -2]);
    }
  });

  it("widen F16 and BF16", () => {
    const file = forge(JSON.stringify({ h: entry([6], [0, 12], "F16"), b: entry([3], [12, 18], "BF16") }), 18);
    const view = new DataView(file.buffer, file.length - 18);
    [0x3c00, 0xc000, 0x0001, 0x7bff, 0xfc00, 0x7e00, 0x3f80, 0xc049, 0x7f80].forEach((bits, index) => {
      view.setUint16(2 * index, bits, true);
    });
    const read = readSafetensors(file, where).tensors;
    expect([...(read.get("h")?.data ?? [])]).toEqual([1, -2, 2 ** -24, 65504, Number.NEGATIVE_INFINITY, Number.NaN]);
    expect([...(read.get("b")?.data ?? [])]).toEqual([1, -3.140625, Number.POSITIVE_INFINITY]);
  });

  it("refuse to be written with a name twice or data that does not fill the shape", () => {
    const tensor = { name: "w", shape: [2], data: new Float32Array(2) };
    expect(() => writeSafetensors([tensor, tensor])).toThrow(ShapeError);
    expect(() => writeSafetensors([{ ...tensor, name: "__metadata__" }])).toThrow(ShapeError);
    expect(() => writeSafetensors([{ ...tensor, shape: [3] }])).toThrow('tensor "w": data must fill the shape; got 2');
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["an empty file", new Uint8Array(0), /in 8 bytes; got 0 bytes/],
    ["seven bytes", new Uint8Array(7), /in 8 bytes; got 7 bytes/],
    ["a header past the end", forge("{}", 0, 3n), /must end within the file; got a header of 3 bytes in a file of 10/],
    ["a header of 2^63 bytes", forge("{}", 0, 2n ** 63n), /header must be at most 8388608 bytes/],
    ["a header of 8 MiB and one byte", forge("{}", 0, 8_388_609n), /header must be at most/],
    ["no header", forge(""), /header must be JSON/],
    ["no JSON", forge("{,}"), /header must be JSON/],
    ["a header that is not UTF-8", forge("{}").with(8, 0xff), /header must be JSON in UTF-8/],
    ["a list", forge("[]"), /header must be a JSON object; got \[\]/],
    ["null", forge("null"), /header must be a JSON object/],
    ["deep nesting", forge("[".repeat(200_000) + "]".repeat(200_000)), /header must be/],
    ["an entry that is no object", forge('{"w":1}'), /tensor "w": an entry must be an object; got 1/],
    ["an unknown key", forge(JSON.stringify({ w: { ...entry([1], [0, 4]), x: 1 } }), 4), /data_offsets only; got "x"/],
    ["an unknown dtype", forge(JSON.stringify({ w: entry([1], [0, 4], "F33") }), 4), /dtype must be .*; got "F33"/],
    ["a dtype of the prototype", forge(JSON.stringify({ w: entry([1], [0, 4], "toString") }), 4), /dtype must be/],
    ["no shape", forge(JSON.stringify({ w: entry(undefined, [0, 4]) }), 4), /shape must be a list/],
    ["a negative extent", forge(JSON.stringify({ w: entry([-1], [0, 4]) }), 4), /shape must be a list.*got \[-1\]/],
    ["a fractional extent", forge(JSON.stringify({ w: entry([0.5], [0, 2]) }), 2), /shape must be a list/],
    [
      "an endless extent",
      forge('{"w":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}', 4),
      /shape must be a list/,
    ],
    ["a product past 2^64", forge(JSON.stringify({ w: entry([2 ** 33, 2 ** 33], [0, 4]) }), 4), /shape × 4 bytes/],
    [
      "a product past 2^1024",
      forge(JSON.stringify({ w: entry(Array(40).fill(2 ** 52), [0, 4]) }), 4),
      /shape × 4 bytes/,
    ],
    ["no offsets", forge(JSON.stringify({ w: entry([1], undefined) }), 4), /data_offsets must be two/],
    ["one offset", forge(JSON.stringify({ w: entry([1], [0]) }), 4), /data_offsets must be two/],
    ["a negative offset", forge(JSON.stringify({ w: entry([1], [-4, 0]) }), 4), /data_offsets must be two/],
    ["a fractional offset", forge(JSON.stringify({ w: entry([1], [0.5, 4.5]) }), 8), /data_offsets must be two/],
    ["backward offsets", forge(JSON.stringify({ w: entry([1], [4, 0]) }), 4), /must not end before they begin/],
    ["offsets past the end", forge(JSON.stringify({ w: entry([2], [0, 8]) }), 4), /tensor "w": .* 4 bytes of data/],
    [
      "a shape of another size",
      forge(JSON.stringify({ w: entry([2], [0, 4]) }), 4),
      /shape × 4 bytes must be the length/,
    ],
    [
      "an overlap",
      forge(JSON.stringify({ a: entry([2], [0, 8]), b: entry([1], [4, 8]) }), 8),
      /"b": .*a start at 4 instead of 8/,
    ],
    [
      "a gap",
      forge(JSON.stringify({ a: entry([1], [0, 4]), b: entry([1], [8, 12]) }), 12),
      /"b": .*a start at 8 instead of 4/,
    ],
    ["bytes left over", forge(JSON.stringify({ w: entry([1], [0, 4]) }), 5), /after 4 bytes; got 5 bytes/],
    ["a tensor twice", forge('{"w":{},"w":{}}'), /unique; got "w" twice/],
    ["an escaped name twice", forge('{"w":{},"\\u0077":{}}'), /unique; got "w" twice/],
    ["a key twice", forge('{"w":{"dtype":"F32","dtype":"F16"}}'), /unique; got "dtype" twice/],
    ["metadata that is no object", forge('{"__metadata__":[]}'), /__metadata__ must map names to strings/],
    ["metadata that is no text", forge('{"__metadata__":{"a":1}}'), /__metadata__ must map names to strings/],
  ])("refuse %s", (_, bytes, message) => {
    expect(() => readSafetensors(bytes, where)).toThrow(CheckpointError);
    expect(() => readSafetensors(bytes, where)).toThrow(message);
    expect(() => readSafetensors(bytes, where)).toThrow(/^model\.safetensors: /);
  });

  it("accept an empty tensor whose other extents overflow", () => {
    const file = readSafetensors(forge(JSON.stringify({ w: entry([2 ** 40, 2 ** 40, 0], [0, 0]) })), where);
    expect(file.tensors.get("w")?.data.length).toBe(0);
  });

  it("may have names that objects inherit", () => {
    const names = ["__proto__", "constructor", "prototype", "toString"];
    const written = names.map((name, i) => ({ name, shape: [1], data: Float32Array.of(i) }));
    const file = readSafetensors(writeSafetensors(written, { ["__proto__"]: "a", constructor: "b" }), where);
    expect([...file.tensors.keys()].sort()).toEqual([...names].sort());
    expect(file.tensors.get("__proto__")?.data).toEqual(Float32Array.of(0));
    expect(Object.keys(file.metadata)).toEqual(["__proto__", "constructor"]);
    expect(Object.getPrototypeOf(file.metadata)).toBe(Object.prototype);
    const forged = forge('{"w":{"__proto__":{"dtype":"F32"},"shape":[1],"data_offsets":[0,4]}}', 4);
    expect(() => readSafetensors(forged, where)).toThrow(/data_offsets only; got "__proto__"/u);
  });

  it("may have empty tensors by the ten thousand, and as many as the deepest model's", () => {
    const entries = Array.from(
      { length: 50_000 },
      (_, i) => `"t${i}":{"dtype":"F32","shape":[0,${i}],"data_offsets":[0,0]}`,
    );
    expect(readSafetensors(forge(`{${entries.join(",")}}`), where).tensors.size).toBe(50_000);
  });

  const forgeLong = (headerBytes: number, fill: string): Uint8Array => {
    const bytes = Buffer.alloc(8 + headerBytes).fill(fill, 8);
    bytes.writeBigUInt64LE(BigInt(headerBytes));
    return bytes;
  };
  const longest = 2 ** 23;
  const filled = (item: (i: number) => string): string => {
    let text = "{";
    for (let i = 0; text.length < longest - 1000; i++) text += `${item(i)},`;
    return `${text}"z":0}`.padEnd(longest);
  };

  it.each<[string, () => Uint8Array, RegExp]>([
    ["90 MB of brackets", () => forgeLong(90_000_000, "["), /the header must be at most 8388608 bytes; got 90000000/u],
    ["8 MiB of brackets", () => forgeLong(longest, "["), /nested at most 64 deep/u],
    ["8 MiB of objects", () => forgeLong(longest, '{"a":'), /nested at most 64 deep/u],
    ["8 MiB of quotes", () => forgeLong(longest, '"'), /must be JSON/u],
    ["8 MiB of backslashes", () => forgeLong(longest, '"\\'), /must be JSON/u],
    ["8 MiB of keys", () => forge(filled((i) => `"${i}":0`)), /at most 262144 keys/u],
    ["8 MiB of lists", () => forge(filled((i) => `"k":[${"[],".repeat(99)}${i}]`)), /at most 524288 values/u],
    ["a name of 2 MB", () => forge(`{"${"k".repeat(2_000_000)}":1}`), /tensor "kkk[^\n]*an entry must be an object/u],
    ["a key of 2 MB", () => forge(`{"w":{"${"k".repeat(2_000_000)}":1}}`), /data_offsets only; got "kkk/u],
    ["a name of 2 MB twice", () => forge(`{${`"${"k".repeat(2_000_000)}":1,`.repeat(2)}"z":1}`), /unique; got "kkk/u],
    ["a dtype of 2 MB", () => forge(JSON.stringify({ w: entry([1], [0, 4], "k".repeat(2e6)) }), 4), /dtype must be/u],
    [
      "a shape of a million axes",
      () => forge(JSON.stringify({ w: entry(Array(400_000).fill(1), [0, 4]) }), 4),
      /at most 64/u,
    ],
  ])("refuse %s in one short line", (_, file, message) => {
    const read = () => readSafetensors(file(), where);
    expect(read).toThrow(CheckpointError);
    expect(read).toThrow(message);
    expect(read).toThrow(/^[^\n]{1,300}$/u);
  });

  it("refuse every file that was cut off", () => {
    const whole = writeSafetensors([
      { name: "a", shape: [2, 3], data: new Float32Array(6).fill(1) },
      { name: "b", shape: [], data: Float32Array.of(2) },
    ]);
    for (let length = 0; length < whole.length; length++) {
      expect(() => readSafetensors(whole.slice(0, length), where)).toThrow(CheckpointError);
    }
  });

  it("never answer changed bytes with anything but tensors or a CheckpointError", () => {
    const whole = writeSafetensors(
      [
        { name: "a", shape: [2, 3], data: new Float32Array(6).fill(1) },
        { name: "b", shape: [4], data: new Float32Array(4) },
      ],
      { format: "pt" },
    );
    // Most changes are in the header, where every byte matters.
    const change = fc.record({
      at: fc.nat(whole.length - 1),
      to: fc.oneof(fc.nat(255), fc.constantFrom(...'0129-.e{}[]":,')),
    });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = whole.slice();
        for (const { at, to } of changes) bytes[at] = typeof to === "number" ? to : to.charCodeAt(0);
        try {
          const { tensors: read } = readSafetensors(bytes, where);
          const total = [...read.values()].reduce((sum, { data }) => sum + data.length, 0);
          // With BF16 or F16 instead of F32, the data would not fit the shape. The program reads nothing outside the
          // file's data.
          expect(total * 2).toBeLessThanOrEqual(bytes.length);
        } catch (error) {
          if (!(error instanceof CheckpointError)) throw error;
          expect(error.message.length).toBeLessThan(500);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("is written in bfloat16 too, rounded to nearest, ties to even", async () => {
    const data = Float32Array.of(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, -Math.PI, 1e-40, 0, 3e38);
    const pieces: Uint8Array[] = [];
    const lazy = [{ name: "a", shape: [7], read: async () => data }];
    for await (const piece of safetensorsPieces(lazy, { format: "pt" }, "BF16")) pieces.push(piece);
    const bytes = joinChunks(pieces);
    expect(new TextDecoder().decode(bytes)).toContain('"dtype":"BF16","shape":[7],"data_offsets":[0,14]');
    const read = readSafetensors(bytes, where).tensors.get("a")?.data ?? [];
    expect(Array.from(read.slice(0, 4))).toEqual([1, 1, 1 + 2 ** -6, -3.140625]);
    expect(Array.from(read)).toEqual(Array.from(fromBfloat16(toBfloat16(data))));
  });
});
