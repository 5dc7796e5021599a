import { expect, onTestFinished, test, vi } from "vitest";
import { cli, workplace } from "./cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000 });

test("doctor makes all checks where nothing is wrong, and tells people each in a line", async () => {
  const { cwd, remove } = await workplace();
  onTestFinished(remove);
  const shown = await cli(["doctor", "--backend", "wasm", "--threads", "1"], { cwd });
  // A check that takes many seconds is named on stderr.
  expect(shown).toMatchObject({ status: 0, stderr: expect.stringMatching(/^(?:[a-z ]+\n)*$/u) });
  const lines = shown.stdout.trimEnd().split("\n");
  expect(lines.slice(0, -2).map((line) => line.slice(0, 28).trim().replace(/ +/gu, " "))).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^node ok/u),
      "runs folder ok",
      ...["kernels", "gradients", "accumulation", "causal mask", "decoding", "determinism", "speed"].map(
        (name) => `wasm: ${name} ok`,
      ),
      ...["quick", "shakespeare", "book", "llama-small", "gpt2"].map((name) =>
        expect.stringMatching(`^speed: ${name}`),
      ),
    ]),
  );
  expect(lines.at(-1)).toMatch(/^\d+ checks in \d+:\d\d: none failed/u);
});
