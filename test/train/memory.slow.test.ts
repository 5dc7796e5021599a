import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { forEachBackend } from "../support/backends.ts";

const bench = fileURLToPath(new URL("../../bench/memory.mjs", import.meta.url));

forEachBackend(
  "the memory of a process that trains",
  ({ name }) => {
    it("is what was said of it beforehand, within 5 % below and 15 % above", async () => {
      // It ends with status 1 where an estimate is not.
      const { stdout } = await promisify(execFile)(process.execPath, [
        bench,
        ...["--configs", "tiny,quick,nano-cpu,shakespeare"],
        ...["--backend", name, "--threads", "2"],
      ]);
      expect(stdout).toContain("110,080");
    });
  },
  ["native", "wasm"],
);
