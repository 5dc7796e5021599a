import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { forEachBackend } from "../../support/backends.ts";

const bench = fileURLToPath(new URL("../../../bench/memory.mjs", import.meta.url));

// The time of garbage collection varies, especially on a busy machine. Memory has differed by 20 MiB between runs. So
// the test uses the median of three runs and allows 32 MiB. In the tested configurations, the arrays are several times
// larger.
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
