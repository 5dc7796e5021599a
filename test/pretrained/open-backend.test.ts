import { afterAll, beforeAll, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";

let backend: Backend;
beforeAll(async () => {
  backend = await openReference();
});
afterAll(() => backend.close());

it.each([
  [{ threads: 2 }, "loadPretrained: threads: must be used only with the name of a backend; got 2 and an open backend"],
  [
    { keepBlocks: true },
    "loadPretrained: keepBlocks: must be used only with the name of a backend; got true and an open backend",
  ],
])("an open backend goes with no option that it cannot follow: %j", async (options, message) => {
  await expect(loadPretrained("no such model", { backend, ...options })).rejects.toThrow(message);
});

it("keepBlocks: false and threads: undefined go with an open backend", async () => {
  const load = loadPretrained("no such model", { backend, keepBlocks: false, threads: undefined });
  await expect(load).rejects.toThrow("no such model");
});
