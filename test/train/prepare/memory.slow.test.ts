import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { forEachBackend } from "../../support/backends.ts";

const bench = fileURLToPath(new URL("../../../bench/memory.mjs", import.meta.url));

// When the engine collects its garbage differs from run to run, and on a busy machine: 20 MiB have been seen. So the median of
// three counts, 32 MiB are forgiven, and configurations are measured whose own arrays are several times that.
const configs = { native: "shakespeare,wide,baby", wasm: "shakespeare", reference: "" };

forEachBackend(
  "the memory of a process that trains",
  ({ name }) => {
    it("is the estimate made before, within 5 % above and 13 % below, or 32 MiB", async () => {
      const args = [bench, "--configs", configs[name], "--backend", name, "--threads", "2", "--rounds", "3"];
      const { stdout } = await promisify(execFile)(process.execPath, args).catch((error: { stdout: string }) =>
        expect.fail(error.stdout),
      );
      expect(stdout).toContain("shakespeare");
    });
  },
  ["native", "wasm"],
);
