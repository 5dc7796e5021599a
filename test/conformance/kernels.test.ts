import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import type { KernelName } from "#foretoken/backend/kernels.js";
import { kernelNames } from "#foretoken/backend/kernels.js";
import { candidates } from "./candidates.ts";
import { disagreement } from "./harness.ts";
import { samples } from "./samples/all.ts";

const disagreements = async <K extends KernelName>(backend: Backend, kernel: K): Promise<string[]> => {
  const found: string[] = [];
  for (const sample of samples[kernel]) {
    for (const layout of ["aligned", "odd"] as const) {
      const message = await disagreement(backend, kernel, sample, layout);
      if (message !== undefined) found.push(message);
    }
  }
  return found;
};

for (const candidate of candidates) {
  if (candidate.kind === "missing") {
    test.skip(`${candidate.name}: ${candidate.reason}`);
    continue;
  }
  describe(candidate.name, () => {
    let backend: Backend;
    beforeAll(async () => {
      backend = await candidate.open();
    });
    afterAll(() => backend.close());

    test.for(kernelNames)("%s agrees with the reference in float64", { timeout: 60_000 }, async (kernel) => {
      expect(await disagreements(backend, kernel)).toEqual([]);
      expect(backend.bytesInUse()).toBe(0);
    });
  });
}
