import { readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { ForetokenError } from "#foretoken/core/errors/errors.js";
import { generate } from "#foretoken/generate/generate.js";
import { loadPretrained as loadInPage } from "#foretoken/pretrained/load.browser.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { loadInWorker } from "#foretoken/worker/model.node.js";
import { forEachBackend } from "../../support/backends.ts";
import { expectClose, forwardError, furthest, largest } from "../../support/closeness.ts";
import { baseModel, copyAdapter, modelWithText, peftAdapter, peftAdapters } from "../../support/peft.ts";
import { useFolder } from "../../support/runs.ts";

const { newPath } = useFolder();
const reference = { backend: "reference" } as const;

/** A server that sends the fixtures to pages. */
const fixtures = fileURLToPath(new URL("../../fixtures", import.meta.url));
let server: Server;
beforeAll(async () => {
  server = createServer((request, response) => {
    readFile(join(fixtures, decodeURIComponent(new URL(request.url ?? "", "http://localhost").pathname))).then(
      (bytes) => response.end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
const addressOf = (path: string): string =>
  `http://127.0.0.1:${(server.address() as AddressInfo).port}/${relative(fixtures, path)}`;

describe.each(peftAdapters)("the adapter $name, as PEFT wrote it", ({ name, directory, base, ids, logits }) => {
  forEachBackend("has the logits of PEFT", ({ open }) => {
    it("in float32", async () => {
      const backend = await open(2);
      const lm = await loadPretrained(base, { backend, adapter: directory });
      const tolerance = 2 * forwardError({ ...lm.model.config, vocabSize: 61 }) * largest(logits);
      const { data } = await lm.logits(ids);
      expectClose(`${name} with its model`, [furthest("logits", data, logits, tolerance)]);
      lm.useAdapter(null);
      // The adapter has an effect: without it, the logits differ.
      expect(furthest("logits", (await lm.logits(ids)).data, logits, tolerance).ratio).toBeGreaterThan(1000);
      await lm.close();
      await backend.close();
    });
  });

  it("stands for its model with it, and has the same logits in a page", async () => {
    const lm = await loadPretrained(directory, reference);
    expect([lm.adapters, lm.adapter]).toEqual([["default"], "default"]);
    const { data } = await lm.logits(ids);
    await lm.close();
    const inPage = await loadInPage(addressOf(base), { ...reference, adapter: addressOf(directory) });
    expect((await inPage.logits(ids)).data).toEqual(data);
    await inPage.close();
  });
});

describe("a model with several adapters", () => {
  const [one, other] = [peftAdapter("llama"), peftAdapter("patterns")];
  const { base, ids } = one;
  const logitsOf = async (directory: string): Promise<Float32Array> => {
    const lm = await loadPretrained(directory, reference);
    const { data } = await lm.logits(ids);
    await lm.close();
    return data;
  };

  it("computes with the one in use, to the bit as with it alone", async () => {
    const lm = await loadPretrained(base, { ...reference, adapters: { one: one.directory, other: other.directory } });
    expect([lm.adapters, lm.adapter]).toEqual([["one", "other"], "one"]);
    const expected = new Map<string | null, Float32Array>([
      ["one", await logitsOf(one.directory)],
      ["other", await logitsOf(other.directory)],
      [null, await logitsOf(base)],
    ]);
    for (const name of ["one", null, "other", "one"]) {
      lm.useAdapter(name);
      expect(lm.adapter).toBe(name);
      expect((await lm.logits(ids)).data).toEqual(expected.get(name));
    }
    await lm.close();
  });

  it("goes on with a text as it began it", async () => {
    const lm = await loadPretrained(await modelWithText("llama3", newPath()), {
      ...reference,
      adapters: { one: one.directory, other: other.directory },
    });
    const options = { prompt: ids.slice(0, 4), maxNewTokens: 6, temperature: 0 };
    const idsOf = async (onFirst: () => void): Promise<readonly number[]> => {
      const found: number[] = [];
      for await (const event of generate(lm, options)) {
        if (event.type !== "token") continue;
        if (found.length === 0) onFirst();
        found.push(event.id);
      }
      return found;
    };
    const whole = await idsOf(() => {});
    expect(await idsOf(() => lm.useAdapter("other"))).toEqual(whole);
    expect(await idsOf(() => {})).not.toEqual(whole);
    await lm.close();
  });

  it("takes none that was not loaded into use", async () => {
    const lm = await loadPretrained(base, { ...reference, adapters: { one: one.directory } });
    expect(() => lm.useAdapter("on")).toThrow(
      'useAdapter: must be "one" or null; null means no adapter; got "on"; try one',
    );
    expect(lm.adapter).toBe("one");
    await lm.close();
    const plain = await loadPretrained(base, reference);
    expect(() => plain.useAdapter("one")).toThrow('useAdapter: must be null; null means no adapter; got "one"');
    await plain.close();
  });

  it("frees them all", async () => {
    const backend = await openReference();
    const lm = await loadPretrained(base, { backend, adapters: { one: one.directory, other: other.directory } });
    expect(backend.bytesInUse()).toBeGreaterThan(0);
    await lm.close();
    expect(backend.bytesInUse()).toBe(0);
    await expect(lm.logits(ids)).rejects.toThrow("the model must be open; got a closed model");
    await backend.close();
  });

  it("switches in a thread of its own too", async () => {
    const talking = await modelWithText("llama3", newPath());
    const options = { ...reference, adapters: { one: one.directory, other: other.directory } };
    const [here, lm] = [await loadPretrained(talking, options), await loadInWorker(talking, options)];
    expect([lm.adapters, lm.adapter]).toEqual([["one", "other"], "one"]);
    const totals: number[] = [];
    for (const name of ["other", null, "one"]) {
      here.useAdapter(name);
      await lm.useAdapter(name);
      expect(lm.adapter).toBe(name);
      const { total } = await lm.score(ids);
      expect(total).toBe((await here.score(ids)).total);
      totals.push(total);
    }
    expect(new Set(totals).size).toBe(3);
    await expect(lm.useAdapter("third")).rejects.toThrow('useAdapter: must be "one", "other" or null');
    await lm.close();
    await expect(lm.useAdapter("one")).rejects.toThrow("the model must be open; got a closed model");
    await here.close();
    const byAdapter = await loadInWorker(one.directory, { ...reference, base: talking });
    expect((await byAdapter.score(ids)).total).toBe(totals.at(-1));
    await byAdapter.close();
  });
});

describe("the model of an adapter", () => {
  const failure = async (work: Promise<unknown>): Promise<string> => {
    const error = await work.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ForetokenError);
    return (error as Error).message;
  };
  const withBase = async (base: unknown): Promise<string> => {
    const directory = await copyAdapter("llama", newPath());
    const path = join(directory, "adapter_config.json");
    const config = { ...JSON.parse(await readFile(path, "utf8")), base_model_name_or_path: base };
    await writeFile(path, JSON.stringify(config));
    return directory;
  };

  it("is the one that it names, by a path from anywhere", async () => {
    const { ids, base } = peftAdapter("llama");
    for (const named of [base, relative(process.cwd(), base)]) {
      const lm = await loadPretrained(await withBase(named), reference);
      expect((await lm.logits(ids)).shape).toEqual([24, 61]);
      await lm.close();
    }
  });

  it("can be given, and must be where the adapter names none that is here", async () => {
    const adapter = await withBase("somebody/llama");
    expect(await failure(loadPretrained(adapter, reference))).toBe(
      `${adapter}/adapter_config.json: base_model_name_or_path: the adapter's base model must be on this disk; got "somebody/llama"; try base hf:somebody/llama`,
    );
    expect(await failure(loadPretrained(await withBase(null), reference))).toMatch(
      /: the adapter must name its base model; got nothing; try base MODEL$/u,
    );
    const lm = await loadPretrained(adapter, { ...reference, base: baseModel("llama3") });
    expect(lm.adapter).toBe("default");
    await lm.close();
  });

  it("must be the one that it was made for", async () => {
    const { directory } = peftAdapter("llama");
    const message = (base: string): Promise<string> => failure(loadPretrained(directory, { ...reference, base }));
    expect(await message(baseModel("gpt2"))).toMatch(
      /adapter_model\.safetensors: adapters must belong to linear layers of the model's blocks, such as transformer\.h\.0\.attn\.c_attn; got "model\.layers\.0\.mlp\.down_proj"; try the model that the adapter was trained for$/u,
    );
    expect(await message(baseModel("mistral"))).toMatch(
      /must have shape \[\d+, \d+\]; got \[\d+, \d+\]; try the model that/u,
    );
    expect(await message(directory)).toBe(
      `${directory}: the path must name a whole model; got an adapter alone; try npx foretoken merge ${directory}`,
    );
  });

  it("goes with no other adapters, and a base with none but an adapter", async () => {
    const { directory, base } = peftAdapter("llama");
    expect(await failure(loadPretrained(directory, { ...reference, adapter: directory }))).toMatch(
      /^loadPretrained: adapter: must be used only to load a whole model; got .*, which is an adapter itself; try the adapter's base model$/u,
    );
    expect(await failure(loadPretrained(base, { ...reference, base }))).toMatch(
      /^loadPretrained: base: must be used only to load an adapter, because base is the adapter's base model; got /u,
    );
    const both = { ...reference, adapter: directory, adapters: { one: directory } };
    expect(await failure(loadPretrained(base, both))).toBe(
      "loadPretrained: adapters: must not be combined with adapter; got both",
    );
    expect(await failure(loadPretrained(base, { ...reference, adapters: { one: 3 as never } }))).toBe(
      "loadPretrained: adapters.one: must be a path, or an object with an adapter's files as Uint8Arrays; got 3",
    );
  });
});
