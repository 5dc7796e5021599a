import { appendFile, cp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cli, jsonLines, workplace } from "./cli.ts";

let cwd: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  const run = join(cwd, "runs", "a");
  await cp(fileURLToPath(new URL("../fixtures/run-a9ede5f/run", import.meta.url)), run, { recursive: true });
  const error = "step 7: the loss must be finite; got NaN\n\u001b[31m";
  await appendFile(join(run, "metrics.jsonl"), `${JSON.stringify({ v: 1, type: "failed", step: 7, error })}\n`);
});
afterAll(() => remove());

test("the list of runs says which error has ended one, in a line", async () => {
  const { stdout, stderr } = await cli(["runs"], { cwd });
  expect(stdout).toMatch(/^runs[/\\]a .* failed$/mu);
  expect(stderr).toMatch(/^runs[/\\]a has failed: step 7: the loss must be finite; got NaN\\n\\u001b\[31m\n$/u);
  const json = await cli(["runs", "--json"], { cwd });
  expect(json.stderr).toBe("");
  expect(jsonLines(json.stdout)).toMatchObject([{ state: "failed", failure: expect.stringMatching(/^step 7: /u) }]);
});
