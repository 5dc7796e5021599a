import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { blockForms, fileWords, panelWords } from "#foretoken/backend/kernels/block-forms.js";
import { memorySource } from "#foretoken/io/byte-source.js";
import { openGgufFile } from "#foretoken/io/gguf/gguf.js";
import { readSafetensors } from "#foretoken/io/safetensors.js";
import { candidates } from "../../conformance/candidates.ts";

const fixture = (name: string): Uint8Array => readFileSync(new URL(`../../fixtures/${name}`, import.meta.url));
const expected = readSafetensors(fixture("encodings.safetensors"), "encodings.safetensors").tensors;
const bitsOf = (values: ArrayLike<number>): Uint32Array => new Uint32Array(Float32Array.from(values).buffer);

const compiled = candidates.flatMap((one) =>
  one.kind === "present" && one.activations === "float32" && one.dtype === "float32" ? [one] : [],
);
const opened = [
  ["reference", () => openReference()] as const,
  ...compiled.map(({ name, open }) => [name, () => open(1)] as const),
];

describe.each(opened)("blocks of a file of PyPI's gguf, in panels of %s", (_, open) => {
  it.each(blockForms.map(({ name }, form) => [name, form] as const))(
    "%s: the same numbers, to the bit",
    async (name, form) => {
      const { tensors } = await openGgufFile(memorySource(fixture("encodings.gguf")), "encodings.gguf");
      const bytes = (await tensors.find((tensor) => tensor.name === name)?.blocks?.read(0, 2)) ?? new Uint8Array(0);
      const [rows, k] = [2, 512];
      const words = new Int32Array(fileWords(form, rows, k));
      new Uint8Array(words.buffer).set(bytes);
      const backend = await open();
      const x = { storage: backend.alloc("int32", words.length), offset: 0 };
      const w = { storage: backend.alloc("int32", panelWords(form, rows, k)), offset: 0 };
      const y = { storage: backend.alloc("float32", rows * k), offset: 0 };
      backend.write(x.storage, words);
      backend.run("blocksPack", { x, y: w, rows, k, form });
      backend.run("blocksRows", { w, ids: null, y, rows, n: rows, k, first: 0, form });
      expect(bitsOf(await backend.read(y.storage))).toEqual(bitsOf(expected.get(name)?.data ?? []));
      await backend.close();
    },
  );
});
