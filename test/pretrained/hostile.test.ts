/**
 * Damaged or forged directories from strangers. Each directory is refused with one clear line, or it loads correctly.
 */
import { readFileSync } from "node:fs";
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { ForetokenError } from "#foretoken/core/errors/errors.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { damage, forge, forgeHeader, randomFor } from "../support/forge.ts";
import { foreignModel } from "../support/hugging-face.ts";
import { useFolder } from "../support/runs.ts";

const { newPath } = useFolder();
let backend: Backend;
beforeAll(async () => {
  backend = await openReference();
});
afterAll(() => backend.close());

const cases = 120;

describe.each(["gpt2-bare", "llama3", "llama-biases", "qwen2", "qwen3", "phi3"])("a directory like %s", (name) => {
  it(`is refused or loaded, in ${cases} forms`, async () => {
    const { directory, ids } = foreignModel(name);
    const whole = new Map(
      (await readdir(directory)).map((file) => [file, Uint8Array.from(readFileSync(join(directory, file)))]),
    );
    const path = newPath();
    await cp(directory, path, { recursive: true });
    const before = backend.bytesInUse();
    let loaded = 0;
    for (let index = 0; index < cases; index++) {
      const random = randomFor(name, index);
      const [target, bytes] = random.pick([...whole]);
      const change = random.below(3) > 0 ? (target.endsWith(".json") ? "forge" : "header") : "damage";
      const changed =
        change === "forge"
          ? new TextEncoder().encode(JSON.stringify(forge(random, JSON.parse(new TextDecoder().decode(bytes)))))
          : change === "header"
            ? forgeHeader(random, bytes)
            : damage(random, bytes);
      await writeFile(join(path, target), changed);
      const said = `${name} ${index}: ${target}`;
      try {
        const lm = await loadPretrained(path, { backend });
        const time = Math.min(4, lm.model.config.contextLength);
        const { data } = await lm.logits(ids.slice(0, time).map((id) => id % lm.model.vocabSize));
        expect(data.length, said).toBe(time * lm.model.vocabSize);
        await lm.close();
        loaded++;
      } catch (error) {
        if (!(error instanceof ForetokenError)) throw new Error(said, { cause: error });
        expect(error.message, said).not.toMatch(/\n/u);
        expect(error.message.length, said).toBeLessThanOrEqual(280);
        expect(error.message, said).toContain(path);
      }
      expect(backend.bytesInUse(), said).toBe(before);
      await writeFile(join(path, target), bytes);
    }
    // Some changes do no harm. So some directories are refused, and others load.
    expect(loaded).toBeGreaterThan(0);
    expect(loaded).toBeLessThan(cases);
  });
});

describe("a file that claims more than it has", () => {
  it("takes no memory for what it claims", async () => {
    const { directory } = foreignModel("llama3");
    const path = newPath();
    await mkdir(path);
    for (const file of await readdir(directory))
      await writeFile(join(path, file), await readFile(join(directory, file)));
    const config = JSON.parse(await readFile(join(path, "config.json"), "utf8"));
    const huge = { hidden_size: 65536, intermediate_size: 262144, vocab_size: 2 ** 30, num_hidden_layers: 2 };
    await writeFile(join(path, "config.json"), JSON.stringify({ ...config, ...huge, head_dim: null }));
    const before = process.memoryUsage().rss;
    await expect(loadPretrained(path, { backend })).rejects.toThrow(/must have shape/u);
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 27);
  });
});
