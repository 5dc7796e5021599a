import { expect, it } from "vitest";
import { CheckpointError } from "#foretoken/core/errors/errors.js";
import { encodedPieces } from "#foretoken/pretrained/gguf/write/contents.js";
import { encoderOf, ggufEncodings } from "#foretoken/pretrained/gguf/write/encodings.js";

const pieces = async (encoding: (typeof ggufEncodings)[number], value: number): Promise<Uint8Array[]> => {
  const values = new Float32Array(256).fill(0.5);
  values[7] = value;
  const source = { name: "w", shape: [1, 256], bytes: 1024, readRows: async () => values };
  const found: Uint8Array[] = [];
  for await (const piece of encodedPieces(source, encoding, "model")) found.push(piece);
  return found;
};

it.each(ggufEncodings.filter((encoding) => encoding !== "f32"))(
  "a weight that does not fit into %s is refused, and the largest that fits is written",
  async (encoding) => {
    const { largest } = encoderOf(encoding);
    expect(await pieces(encoding, -largest)).toHaveLength(1);
    const error = await pieces(encoding, 1.0001 * largest).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CheckpointError);
    const way = encoding === "bf16" ? "f32" : "bf16 or f32";
    expect((error as Error).message).toMatch(
      new RegExp(
        `^model: w must hold numbers of at most [\\d.e+]+ in magnitude for ${encoding}; got .*; try ${way}$`,
        "u",
      ),
    );
  },
);
