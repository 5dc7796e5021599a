import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { forEachBackend } from "../../support/backends.ts";

const bench = fileURLToPath(new URL("../../../bench/memory.mjs", import.meta.url));

// The engine's own memory, and the time of its collections, differ by a few MiB from run to run: too much for the
// smallest.
const configs = { native: "quick,nano-cpu,shakespeare,wide", wasm: "quick,shakespeare", reference: "" };

forEachBackend(
  "the memory of a process that trains",
  ({ name }) => {
    it("is what was said of it beforehand, at most 5 % more and 13 % less", async () => {
      // It ends with status 1 if an estimate is below 95 % or above 115 % of the measurement.
      const args = [bench, "--configs", configs[name], "--backend", name, "--threads", "2"];
      const { stdout } = await promisify(execFile)(process.execPath, args).catch((error: { stdout: string }) =>
        expect.fail(error.stdout),
      );
      expect(stdout).toContain("420,864");
    });
  },
  ["native", "wasm"],
);
