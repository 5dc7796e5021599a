import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { GivenDocument } from "#foretoken/data/parse-document.js";
import { joinChunks } from "#foretoken/io/safetensors.js";
import { parseRecord, recordChunks } from "#foretoken/runs/record/flight-record.js";
import { readRecord } from "#foretoken/runs/record/record.node.js";
import { replay } from "#foretoken/train/faults/replay.js";
import { train } from "#foretoken/train/train.node.js";
import { compiled, forEachBackend } from "../../support/backends.ts";
import { collect, ofType, smallRun, useFolder } from "../../support/runs.ts";

const { newPath } = useFolder();

const documents: readonly GivenDocument[] = Array.from({ length: 30 }, (_, i) => ({
  text: "the cat sat on a mat ".repeat(1 + (i % 3)).slice(0, 6 + i),
}));

forEachBackend(
  "a step on documents that is not finite",
  ({ open }) => {
    it.each(["packed", "one"] as const)(
      "leaves a record that makes the same step again, to the bit: %s",
      async (rows) => {
        const backend = await open(2);
        const out = newPath();
        // With this ratio, every norm after the first twenty steps counts as exploding.
        const plan = { ...smallRun.train, rows, steps: 24, maxGradNormRatio: 1e-9, onNonfinite: "skip" } as const;
        const config = { model: smallRun.model, train: plan };
        const events = await collect(train({ documents, preset: "book", config, out, backend, finalSampleTokens: 0 }));
        expect(ofType(events, "nonfinite").length).toBeGreaterThan(0);
        const file = (await readdir(out)).find((name) => name.startsWith("nonfinite-")) ?? "";
        const record = await readRecord(join(out, file));
        const { x, y, rows: recorded, segments = [] } = record.batch;
        expect(recorded).toBe(1);
        expect(segments.reduce((sum, { length }) => sum + length, 0)).toBe(x.length);
        expect(y).toHaveLength(x.length);
        expect(await replay(backend, record)).toMatchObject({ reproduced: true, isSame: true });

        const parse = (changed: readonly { readonly pass: number; readonly length: number }[]) =>
          parseRecord(joinChunks(recordChunks({ ...record, batch: { ...record.batch, segments: changed } })), "record");
        expect(parse(segments)).toEqual(record);
        const [first = { pass: 0, length: 1 }, ...rest] = segments;
        for (const bad of [
          [{ ...first, length: first.length + 1 }, ...rest],
          [{ ...first, length: 0 }, ...rest],
          [{ ...first, pass: 99 }, ...rest],
          [{ ...first, length: Number.NaN }, ...rest],
          [],
        ]) {
          expect(() => parse(bad)).toThrow(/^record: /u);
        }
        await backend.close();
      },
    );
  },
  compiled,
);
