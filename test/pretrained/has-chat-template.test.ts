import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { hasChatTemplate } from "#foretoken/pretrained/has-chat-template.node.js";
import { writeChatModel } from "../support/chats.ts";
import { writeGguf } from "../support/gguf.ts";
import { ggufModel } from "../support/gguf-models.ts";
import { commit } from "../support/hub.ts";
import { copyAdapter, peftAdapter } from "../support/peft.ts";
import { useFolder } from "../support/runs.ts";

const { newPath } = useFolder();

afterEach(() => vi.unstubAllEnvs());

it("finds the template of a folder, in a field or in a file of its own", async () => {
  const folder = newPath();
  await writeChatModel(folder);
  expect(await hasChatTemplate(folder)).toBe(true);
  await rm(join(folder, "manifest.json"));
  await writeFile(join(folder, "tokenizer_config.json"), "{}");
  expect(await hasChatTemplate(folder)).toBe(false);
  await writeFile(join(folder, "chat_template.jinja"), "{{ messages }}");
  expect(await hasChatTemplate(folder)).toBe(true);
});

it("finds the template of a GGUF file in its header", async () => {
  const { file } = ggufModel("llama");
  const { "tokenizer.chat_template": _, ...others } = file.metadata;
  for (const [metadata, has] of [
    [file.metadata, true],
    [others, false],
  ] as const) {
    const path = `${newPath()}.gguf`;
    await writeFile(path, writeGguf({ ...file, metadata }));
    expect(await hasChatTemplate(path)).toBe(has);
  }
});

it("finds the template of an adapter, which has its own or its model's", async () => {
  const folder = await copyAdapter("llama", newPath());
  // The copy's base model is not next to the copy.
  expect(await hasChatTemplate(folder)).toBeNull();
  await writeFile(join(folder, "chat_template.jinja"), "{{ messages }}");
  expect(await hasChatTemplate(folder)).toBe(true);
  expect(await hasChatTemplate(peftAdapter("llama").directory)).toBe(false);
});

it("knows of a model of the hub only once it was fetched, and asks no server", async () => {
  const cache = newPath();
  vi.stubEnv("FORETOKEN_CACHE", cache);
  vi.stubEnv("HF_ENDPOINT", "http://127.0.0.1:1");
  expect(await hasChatTemplate("hf:some/model")).toBeNull();
  const root = join(cache, "hub", "some--model");
  await mkdir(root, { recursive: true });
  await writeFile(join(root, "main.ref"), commit);
  await writeChatModel(join(root, commit));
  expect(await hasChatTemplate("hf:some/model")).toBe(true);
});

it("does not know of what is not there, or damaged", async () => {
  const folder = newPath();
  expect(await hasChatTemplate(folder)).toBeNull();
  expect(await hasChatTemplate(`${folder}.gguf`)).toBeNull();
  await mkdir(folder);
  await writeFile(join(folder, "tokenizer_config.json"), "{");
  expect(await hasChatTemplate(folder)).toBeNull();
});
