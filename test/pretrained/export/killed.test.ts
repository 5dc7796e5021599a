/**
 * A process that exports a model is killed. After that, the final name is a complete file or folder, or it does not
 * exist.
 */
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it, vi } from "vitest";
import { exportModel } from "#foretoken/pretrained/export/export.node.js";
import { onWindows } from "../../cli/cli.ts";
import { modelWithText } from "../../support/peft.ts";
import { useFolder } from "../../support/runs.ts";

vi.setConfig({ testTimeout: 60_000 });

const { newPath } = useFolder();
const writer = fileURLToPath(new URL("export-writer.mjs", import.meta.url));

const run = (...args: readonly string[]): Promise<string> =>
  promisify(execFile)(process.execPath, [writer, ...args]).then(
    ({ stdout }) => stdout.trim(),
    (error: { readonly signal?: unknown }) => String(error.signal),
  );

it.skipIf(onWindows)(
  "leaves nothing half-written under the name, at the first, a middle and the last call",
  async () => {
    const model = await modelWithText("llama3", newPath());
    for (const [format, name] of [
      ["gguf", "out.gguf"],
      ["hf", "out"],
    ] as const) {
      const calls = Number(await run(join(newPath(), name), model, format, "0"));
      expect(calls).toBeGreaterThan(4);
      for (const call of [1, Math.floor(calls / 2), calls]) {
        const folder = newPath();
        const place = join(folder, name);
        expect(await run(place, model, format, String(call))).toBe("SIGKILL");
        expect(await readdir(folder).catch(() => [])).not.toContain(name);
        await exportModel(place, model, { format });
        expect(await readdir(folder)).toEqual([name]);
      }
    }
  },
);
