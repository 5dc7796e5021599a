import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { multiplyingKernels } from "#foretoken/backend/implementations/reference/host-args.js";
import type { KernelName } from "#foretoken/backend/kernels/kernels.js";
import { kernelNames, kernels } from "#foretoken/backend/kernels/kernels.js";
import { candidates } from "./candidates.ts";
import { agreement, forgetExpectations } from "./harness.ts";
import { samples } from "./samples/all.ts";

// The time limit is far longer than any kernel takes, because a machine may be slow or busy.
const timeout = 60_000;

const takesActivations = (kernel: KernelName): boolean =>
  Object.values(kernels[kernel].buffers).some(({ element }) => element === "activation");

/** Products with sizes that exceed the largest blocks of the compiled kernels. */
const isLarge = ({ buffers }: { readonly buffers: object }): boolean =>
  Object.values(buffers as Readonly<Record<string, unknown>>).some(
    (buffer) => buffer instanceof Float64Array && buffer.length > 500_000,
  );

afterAll(forgetExpectations);

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

    const { dtype, activations, hasBlocks } = candidate;
    // A candidate of another dtype tests only some kernels, because its other kernels are the float32 kernels.
    const names =
      dtype === "float32"
        ? kernelNames
        : activations === "float32"
          ? multiplyingKernels
          : kernelNames.filter((kernel) => takesActivations(kernel));

    const [fewest = 1] = candidate.threads;

    /**
     * Faults with the smallest number of threads. Also the samples for which another number of threads gives other
     * bits.
     */
    const examine = async <K extends KernelName>(kernel: K): Promise<Record<"faults" | "differences", string[]>> => {
      const [first, ...others] = backends as [Backend, ...Backend[]];
      const faults: string[] = [];
      const differences: string[] = [];
      for (const layout of candidate.layouts) {
        for (const sample of samples[kernel]) {
          if (!hasBlocks && isLarge(sample)) continue;
          const { fault, sameBits } = await agreement(first, kernel, sample, layout, activations, others);
          if (fault !== undefined) faults.push(fault);
          if (!sameBits) differences.push(`${kernel} (${sample.name}; ${layout} offsets)`);
        }
      }
      for (const backend of backends) expect(backend.bytesInUse()).toBe(0);
      return { faults, differences };
    };
    const examined = new Map<KernelName, ReturnType<typeof examine>>();
    const resultsOf = (kernel: KernelName): ReturnType<typeof examine> => {
      const results = examined.get(kernel) ?? examine(kernel);
      examined.set(kernel, results);
      return results;
    };

    test.for(names)(`%s agrees with the reference in float64 (threads: ${fewest})`, { timeout }, async (kernel) => {
      expect((await resultsOf(kernel)).faults.join("\n")).toBe("");
    });

    // If the bits are equal, the check with the smallest number of threads is valid for all numbers of threads.
    if (candidate.threads.length < 2) return;
    test.for(names)("%s gives the same bits for every number of threads", { timeout }, async (kernel) => {
      expect((await resultsOf(kernel)).differences.join("\n")).toBe("");
    });
  });
}
