import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { multiplyingKernels } from "#foretoken/backend/implementations/reference/host-args.js";
import type { KernelName } from "#foretoken/backend/kernels/kernels.js";
import { kernelNames, kernels } from "#foretoken/backend/kernels/kernels.js";
import { candidates } from "./candidates.ts";
import { agreement, resultBits } from "./harness.ts";
import { samples } from "./samples/all.ts";

// Far more than any takes, for machines that are slow or busy.
const timeout = 60_000;

const takesActivations = (kernel: KernelName): boolean =>
  Object.values(kernels[kernel].buffers).some(({ element }) => element === "activation");

for (const candidate of candidates) {
  if (candidate.kind === "missing") {
    test.skip(`${candidate.name}: ${candidate.reason}`);
    continue;
  }
  describe(candidate.name, () => {
    const backends: Backend[] = [];
    beforeAll(async () => {
      for (const threads of candidate.threads) backends.push(await candidate.open(threads));
    });
    afterAll(async () => {
      for (const backend of backends) await backend.close();
    });

    const { dtype, activations } = candidate;
    // The others do the same as on the candidate for float32.
    const names =
      dtype === "float32"
        ? kernelNames
        : activations === "float32"
          ? multiplyingKernels
          : kernelNames.filter((kernel) => takesActivations(kernel));

    /** Digests of one thread's results, by kernel and layout, in the order of the samples. */
    const results = new Map<string, string[]>();
    const [fewest = 1] = candidate.threads;

    const faults = async <K extends KernelName>(backend: Backend, kernel: K): Promise<string[]> => {
      const found: string[] = [];
      for (const layout of candidate.layouts) {
        const digests: string[] = [];
        for (const sample of samples[kernel]) {
          const { fault, bits } = await agreement(backend, kernel, sample, layout, activations);
          if (fault !== undefined) found.push(fault);
          digests.push(bits);
        }
        results.set(`${kernel} ${layout}`, digests);
      }
      return found;
    };
    test.for(names)(`%s agrees with the reference in float64 (threads: ${fewest})`, { timeout }, async (kernel) => {
      const backend = backends[0] as Backend;
      expect((await faults(backend, kernel)).join("\n")).toBe("");
      expect(backend.bytesInUse()).toBe(0);
    });

    // So what has been found right of one thread's is right of all.
    if (candidate.threads.length < 2) return;
    const differences = async <K extends KernelName>(other: Backend, kernel: K): Promise<string[]> => {
      const found: string[] = [];
      for (const layout of candidate.layouts) {
        for (const [i, sample] of samples[kernel].entries()) {
          const one =
            results.get(`${kernel} ${layout}`)?.[i] ??
            (await resultBits(backends[0] as Backend, kernel, sample, layout, activations));
          const same = one === (await resultBits(other, kernel, sample, layout, activations));
          if (!same) found.push(`${kernel} (${sample.name}; ${layout} offsets)`);
        }
      }
      return found;
    };
    test.for(names)("%s gives the same bits for every number of threads", { timeout }, async (kernel) => {
      for (const other of backends.slice(1)) {
        expect((await differences(other, kernel)).join("\n")).toBe("");
        expect(other.bytesInUse()).toBe(0);
      }
    });
  });
}
