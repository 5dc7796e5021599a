import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { byteTokenizer } from "../support/byte-tokenizer.ts";

interface Checked {
  readonly files: number;
  readonly taken: number;
  readonly refused: number;
  readonly instances: number;
  readonly accepted: number;
  readonly wrong: readonly string[];
  readonly reasons: readonly (readonly [string, number])[];
}

const script = new URL("../../scripts/checks/json-schema-bench.mjs", import.meta.url).href;
const { checkSchemas } = (await import(script)) as {
  checkSchemas: (checkout: string, tokenizer: unknown, every?: number) => Checked;
};

/** The folder of a checkout of guidance-ai/jsonschemabench. */
const checkout = process.env.FORETOKEN_JSONSCHEMABENCH;

test("masks and ajv agree on the schemas of a folder", async () => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-schemas-"));
  const files = [
    {
      schema: { $schema: "http://json-schema.org/draft-04/schema#", minimum: 0, exclusiveMinimum: true },
      tests: [0, 1, -1, "x", { a: [1.5, null] }].map((data) => ({ data, valid: data !== 0 && data !== -1 })),
    },
    { schema: { unevaluatedProperties: false }, tests: [{ data: {}, valid: true }] },
  ];
  await mkdir(join(folder, "maskbench/data"), { recursive: true });
  for (const [i, file] of files.entries()) {
    await writeFile(join(folder, `maskbench/data/${i}.json`), JSON.stringify(file));
  }
  expect(checkSchemas(folder, byteTokenizer())).toMatchObject({
    ...{ files: 2, taken: 1, refused: 1, instances: 10, accepted: 6, wrong: [] },
    reasons: [["unevaluatedProperties: must be a keyword that limits the output or a known annotation", 1]],
  });
  await rm(folder, { recursive: true });
});

test.skipIf(checkout === undefined)(
  "masks and ajv agree on each 50th schema of the checkout that FORETOKEN_JSONSCHEMABENCH names",
  { timeout: 300_000 },
  () => {
    const { taken, refused, files, wrong } = checkSchemas(checkout ?? "", byteTokenizer(), 50);
    expect(wrong).toEqual([]);
    expect(taken + refused).toBe(files);
    expect(taken).toBeGreaterThan(files / 2);
  },
);
