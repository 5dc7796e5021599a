import { describe } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { describeBackends, openBackend } from "#foretoken/backend/select.node.js";
import type { ProductDType } from "#foretoken/core/tensors/dtype.js";

const { backends } = await describeBackends();

export interface BackendCase {
  readonly name: "reference" | "wasm" | "native";
  readonly open: (threads: number, dtype?: ProductDType) => Promise<Backend>;
}

/** Calls `suite` for every backend. A missing backend is skipped, and the test's name states the reason. */
export const forEachBackend = (
  title: string,
  suite: (backend: BackendCase) => void,
  which: readonly BackendCase["name"][] = ["reference", "wasm", "native"],
): void => {
  for (const name of which) {
    const found = backends.find((backend) => backend.name === name);
    if (found?.available !== true) {
      describe.skip(`${title}, ${name}: ${found?.reason ?? "not built"}`, () =>
        suite({ name, open: () => openReference() }));
      continue;
    }
    describe(`${title}, ${name}`, () =>
      suite({ name, open: (threads, dtype) => openBackend(name, { threads, dtype }) }));
  }
};

/** Backends that are fast enough to train in a test. */
export const compiled = ["wasm", "native"] as const;
