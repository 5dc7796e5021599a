import { readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CheckpointError } from "#foretoken/core/errors/errors.js";
import { loadPretrained as loadInPage } from "#foretoken/pretrained/load.browser.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { answer, type Served } from "../support/hub.ts";
import { foreignModel } from "../support/hugging-face.ts";
import { copyAdapter, peftAdapter } from "../support/peft.ts";
import { useFolder } from "../support/runs.ts";

const { newPath } = useFolder();
const filesOf = async (name: string): Promise<Map<string, Buffer>> => {
  const { directory } = foreignModel(name);
  const names = await readdir(directory);
  return new Map(await Promise.all(names.map(async (file) => [file, await readFile(join(directory, file))] as const)));
};

let server: Server;
let address: string;
let served: Served;
beforeEach(async () => {
  served = { files: await filesOf("qwen2"), asked: [] };
  server = createServer((request, response) => answer(served, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  vi.stubEnv("HF_ENDPOINT", address);
  vi.stubEnv("HF_TOKEN", "");
  vi.stubEnv("FORETOKEN_CACHE", newPath());
});
const stop = async (): Promise<void> => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
};
afterEach(async () => {
  vi.unstubAllEnvs();
  await stop();
});

const reference = { backend: "reference" } as const;

const logitsOf = async (name: string, options = {}): Promise<Float32Array> => {
  const lm = await loadPretrained(name, { ...reference, ...options });
  const { data } = await lm.logits(foreignModel("qwen2").ids);
  await lm.close();
  return data;
};

const failure = async (name: string): Promise<string> => {
  const error = await loadPretrained(name, reference).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CheckpointError);
  expect((error as Error).message).not.toMatch(/\n/u);
  return (error as Error).message;
};

describe("a model of the hub", () => {
  it("is fetched once, with the files that are needed, and is there without a network", async () => {
    const progress: [number, number][] = [];
    const onProgress = (bytes: number, all: number): void => {
      progress.push([bytes, all]);
    };
    const expected = await logitsOf(foreignModel("qwen2").directory);
    expect(await logitsOf("hf:some/model", { onProgress })).toEqual(expected);
    expect(served.asked.filter((path) => path.includes("pytorch_model"))).toEqual([]);
    expect(progress.length).toBeGreaterThan(4);
    served.asked.length = 0;
    expect(await logitsOf("hf:some/model@v1")).toEqual(expected);
    expect(served.asked.filter((path) => path.includes("resolve"))).toEqual([]);
    await stop();
    const notices: string[] = [];
    expect(await logitsOf("hf:some/model", { onNotice: (line: string) => notices.push(line) })).toEqual(expected);
    expect(notices).toEqual(["hf:some/model: the hub does not answer; using the copy that was downloaded before"]);
    expect(await failure("hf:other/model")).toMatch(/^hf:other\/model: the hub must answer; got .*; try again later/u);
  });

  it("is the one of an adapter that names it, once it has been fetched", async () => {
    const adapter = await copyAdapter("expression", newPath());
    const path = join(adapter, "adapter_config.json");
    const named = { ...JSON.parse(await readFile(path, "utf8")), base_model_name_or_path: "some/model" };
    await writeFile(path, JSON.stringify(named));
    expect(await failure(adapter)).toMatch(/must be on this disk; got "some\/model"; try base hf:some\/model$/u);
    expect(served.asked).toEqual([]);
    await logitsOf("hf:some/model");
    await stop();
    const { ids, logits } = peftAdapter("expression");
    const lm = await loadPretrained(adapter, reference);
    expect(Array.from((await lm.logits(ids)).data.slice(0, 4))).toEqual(
      Array.from(logits.slice(0, 4), (x) => expect.closeTo(x, 4)),
    );
    await lm.close();
  });

  it.each([
    ["other contents", (bytes: Buffer) => Buffer.from(bytes.map((byte, i) => (i === 999 ? byte ^ 1 : byte)))],
    ["\\d+ bytes instead of \\d+", (bytes: Buffer) => bytes.subarray(0, 999)],
  ])("with %s is refused, and fetched again the next time", async (got, spoil) => {
    served.spoil = (name, bytes) => (name === "model-00002-of-00002.safetensors" ? spoil(bytes) : bytes);
    expect(await failure("hf:some/model")).toMatch(
      new RegExp(
        `model-00002-of-00002\\.safetensors: the file must have the size and hash that the hub lists; got ${got}`,
        "u",
      ),
    );
    delete served.spoil;
    served.asked.length = 0;
    await logitsOf("hf:some/model");
    // Correct files are not downloaded again.
    expect(served.asked.filter((path) => path.includes("model-00001"))).toEqual([]);
  });

  it.each([
    ["hf:", /must have the form hf:organisation\/name; got nothing; try hf:org\/name/u],
    ["hf:../../etc", /must have the form/u],
    ["hf:a/b/c", /must have the form/u],
    ["hf:some/none", /the hub must have this model, and it must be public; got status 404/u],
    ["hf:some/model@none", /got status 404/u],
  ])("named %s is refused in one line", async (name, message) => {
    expect(await failure(name)).toMatch(message);
  });

  it("without safetensors is refused in one line", async () => {
    for (const name of [...served.files.keys()]) if (name.includes("safetensors")) served.files.delete(name);
    expect(await failure("hf:some/model")).toMatch(/must have safetensors weights; got no model\.safetensors/u);
  });
});

describe("a directory behind an address", () => {
  it.each(["qwen2", "llama3", "gpt2-bare"])("like %s loads in a page, while its weights arrive", async (name) => {
    served.files.clear();
    for (const [file, bytes] of await filesOf(name)) served.files.set(file, bytes);
    const { directory, ids } = foreignModel(name);
    const there = await loadPretrained(directory, reference);
    const told: number[] = [];
    const here = await loadInPage(`${address}/`, { ...reference, onProgress: (bytes) => told.push(bytes) });
    expect((await here.logits(ids)).data).toEqual((await there.logits(ids)).data);
    expect(told.at(-1)).toBeGreaterThan(19_000);
    await here.close();
    await there.close();
  });

  it("that ends early is refused in one line", async () => {
    served.spoil = (name, bytes) => (name.startsWith("model-00002") ? bytes.subarray(0, 5000) : bytes);
    await expect(loadInPage(address, reference)).rejects.toThrow(/model-00002.*data_offsets must lie within/u);
    served.files.delete("model-00002-of-00002.safetensors");
    await expect(loadInPage(address, reference)).rejects.toThrow(/the server must have the file; got status 404/u);
  });
});
