import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { ForetokenError } from "#foretoken/core/errors/errors.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { loadInWorker, type WorkerModel } from "#foretoken/worker/model.node.js";
import { writeChatModel } from "../support/chats.ts";
import { plainNoEnd, writePlainModel } from "../support/openai-server.ts";
import { useFolder } from "../support/runs.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const { newPath } = useFolder();
let path = "";
let draft = "";
let lm: WorkerModel;
beforeAll(async () => {
  path = newPath();
  draft = newPath();
  await writePlainModel(path, 1);
  await writePlainModel(draft, 2, 48);
  lm = await loadInWorker(path, { backend: "wasm", threads: 1, draft });
});
afterAll(() => lm.close());

const options = { prompt: "the cat sat on the mat, and the cat sat", maxNewTokens: 40, logitBias: plainNoEnd };

const listed = async <T>(events: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const event of events) all.push(event);
  return all;
};

it("guesses in its thread, with the model that was loaded for it or from the text, and writes the same", async () => {
  const plain = await listed(lm.generate(options));
  const [plainText] = await listed(lm.generateMany([options]));
  const engine = await lm.openEngine();
  for (const speculate of ["ngram", "draft"] as const) {
    for (const events of [lm.generate({ ...options, speculate }), engine.generate({ ...options, speculate })]) {
      const all = await listed(events);
      const { guesses, ...done } = all.at(-1) as { readonly guesses?: object };
      expect([...all.slice(0, -1), done]).toEqual(plain);
      expect(guesses).toEqual({ guessed: expect.any(Number), accepted: expect.any(Number) });
    }
    for (const [prompts, shared] of [
      [[{ ...options, speculate }], {}],
      [[options], { speculate }],
    ] as const) {
      const [text] = await listed(lm.generateMany(prompts, shared));
      expect(text).toEqual({ ...plainText, guesses: expect.any(Object) });
    }
  }
  expect((await engine.counts()).guessed).toBeGreaterThan(0);
  await engine.close();
});

it("refuses in one line what cannot guess", async () => {
  const message = async (work: Promise<unknown>): Promise<string> => {
    const error = await work.catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(ForetokenError);
    return (error as Error).message;
  };
  const other = newPath();
  await writeChatModel(other);
  expect(await message(loadInWorker(path, { backend: "wasm", draft: other }))).toContain(
    "loadInWorker: draft: the draft model must have the same tokenizer as the model; got a vocabulary of",
  );
  expect(await message(loadInWorker(path, { backend: "wasm", draft: "missing" }))).toContain("missing");
  expect(await message(loadInWorker(path, { draft: 3 as unknown as string }))).toContain("loadInWorker: draft");
  const plain = await loadInWorker(draft, { backend: "wasm", threads: 1 });
  expect(await message(listed(plain.generate({ ...options, speculate: "draft" })))).toBe(
    "generate: speculate: the model must have been loaded in a worker with a draft model; got none; try loadInWorker(path, { draft: smaller })",
  );
  await plain.close();
  const here = await loadPretrained(draft, { backend: await openReference() });
  const asked = async () => listed(lm.generate({ ...options, speculate: here }));
  expect(await message(asked())).toBe(
    'generate: speculate: must be false, "ngram" or "draft" in a worker; got a model, which stays on its thread; try loadInWorker(path, { draft })',
  );
  await here.close();
});
