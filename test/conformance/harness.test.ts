import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend, Storage, View } from "#foretoken/backend/backend.js";
import type { KernelName } from "#foretoken/backend/kernels.js";
import { kernelNames, kernels } from "#foretoken/backend/kernels.js";
import { openReference } from "#foretoken/backend/reference/reference.js";
import type { BufferSpec } from "#foretoken/backend/signature.js";
import type { HostArray } from "#foretoken/core/dtype.js";
import { disagreement } from "./harness.ts";
import { samples } from "./samples/all.ts";

/** What is wrong with a backend's kernel: one message for each sample that it fails, `enough` of them at most. */
const failures = async <K extends KernelName>(backend: Backend, kernel: K, enough = Infinity): Promise<string[]> => {
  const found: string[] = [];
  for (const sample of samples[kernel]) {
    if (found.length >= enough) break;
    const message = await disagreement(backend, kernel, sample, "odd");
    if (message !== undefined) found.push(message);
  }
  return found;
};

/** The upper half of each float32: eight bits of mantissa. */
const bfloat16 = (values: Float32Array): Float32Array => {
  const bits = new Uint32Array(values.slice().buffer);
  return new Float32Array(bits.map((word) => word & 0xffff0000).buffer);
};

describe("the suite notices", () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await openReference();
  });
  afterAll(() => backend.close());

  test.for(kernelNames)("a %s that does nothing", async (kernel) => {
    expect(await failures({ ...backend, run: () => {} }, kernel, 1)).not.toEqual([]);
  });

  test.for(kernelNames)("a %s that writes in front of its buffers", async (kernel) => {
    const names = Object.entries(kernels[kernel].buffers).filter(([, spec]) => spec.access !== "in");
    for (const [name] of names) {
      const run: Backend["run"] = (called, args) => {
        backend.run(called, args);
        const view = (args as Readonly<Record<string, View | number | null>>)[name];
        if (view === null || typeof view !== "object") return;
        backend.write(view.storage, Float32Array.of(0.123), view.offset - 1);
      };
      expect((await failures({ ...backend, run }, kernel, 1)).join("\n"), name).toContain("outside of every buffer");
    }
  });

  // A tolerance that lets eight bits of mantissa pass would prove nothing. fill has no input.
  test.for(kernelNames.filter((name) => name !== "fill"))("a %s with inputs of bfloat16 precision", async (kernel) => {
    const written = new Map<Storage, HostArray>();
    const write: Backend["write"] = (storage, data) => {
      written.set(storage, data);
      backend.write(storage, data);
    };
    const run: Backend["run"] = (called, args) => {
      const views = Object.entries(args as Readonly<Record<string, View | number | null>>);
      const storages = (access: "read" | "written"): Set<Storage> => {
        const specs = kernels[called].buffers as Readonly<Record<string, BufferSpec>>;
        const chosen = views.flatMap(([name, view]) =>
          view !== null && typeof view === "object" && (specs[name]?.access === "in") === (access === "read")
            ? [view.storage]
            : [],
        );
        return new Set(chosen);
      };
      const outputs = storages("written");
      const inputs = [...storages("read")].filter((s) => s.dtype === "float32" && !outputs.has(s));
      const original = (s: Storage): Float32Array => written.get(s) as Float32Array;
      for (const s of inputs) backend.write(s, bfloat16(original(s)));
      backend.run(called, args);
      for (const s of inputs) backend.write(s, original(s));
    };
    const messages = await failures({ ...backend, write, run }, kernel);
    expect(messages.length).toBeGreaterThan(samples[kernel].length / 2);
  });
});
