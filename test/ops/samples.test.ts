import { readdir, readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { opSamples } from "./samples/all.ts";

const folder = new URL("../../src/ops/", import.meta.url);

/** Name of the op in a file: for example `causalAttention` in `causal-attention.ts`. */
const opName = (file: string): string =>
  file.replace(/\.ts$/u, "").replace(/-(\w)/gu, (_, letter: string) => letter.toUpperCase());

it("each op that records a gradient has samples for the gradient check", async () => {
  const files = await readdir(folder);
  const texts = await Promise.all(files.map((file) => readFile(new URL(file, folder), "utf8")));
  const ops = files.filter((_, i) => /\btape\??\.record\(/u.test(texts[i] ?? "")).map(opName);
  expect(ops.length).toBeGreaterThan(10);
  expect(Object.keys(opSamples)).toEqual(expect.arrayContaining(ops));
});
