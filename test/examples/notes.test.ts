import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { useFolder, wordsText } from "../support/runs.ts";
import { numbersIn, runExample } from "./run-example.ts";

const { newPath } = useFolder();

test("examples/notes.ts learns from a folder, keeps the run and goes on with a prompt", async () => {
  const notes = newPath();
  await mkdir(join(notes, "old"), { recursive: true });
  await writeFile(join(notes, "today.md"), wordsText("today", 500));
  await writeFile(join(notes, "old/yesterday.txt"), wordsText("yesterday", 500));
  const out = newPath();
  const args = [notes, "--steps", "24", "--prompt", "the cat", "--out", out];
  const printed = await runExample("notes", args, dirname(notes));

  const losses = numbersIn(printed, /step \d+: (\d\.\d+) nats per character/g);
  expect(losses).toHaveLength(12);
  expect(losses.at(-1)).toBeLessThan(0.9 * (losses[0] ?? 0));
  expect(printed).toMatch(/\n\nthe cat[a-z .\n]{300}\n$/);
  const lm = await loadPretrained(join(out, "best"), { backend: "reference" });
  expect(lm.tokenizer.encode("the mat.\n")).toHaveLength(9);
  await lm.close();
});

test("an example that there is not is a mistake that names those that there are", async () => {
  const script = fileURLToPath(new URL("../../scripts/example.mjs", import.meta.url));
  const failure = await promisify(execFile)(process.execPath, [script, "poems"]).catch((error: unknown) => error);
  expect(failure).toMatchObject({
    code: 2,
    stdout: "",
    stderr: "example: the name must be one of causal-lm, fine-tune, names, notes; got poems\n",
  });
});
