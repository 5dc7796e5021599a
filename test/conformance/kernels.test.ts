import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { multiplyingKernels } from "#foretoken/backend/implementations/reference/host-args.js";
import type { KernelName } from "#foretoken/backend/kernels/kernels.js";
import { kernelNames, kernels } from "#foretoken/backend/kernels/kernels.js";
import { type ActivationDType, candidates } from "./candidates.ts";
import { disagreement, resultBits } from "./harness.ts";
import { samples } from "./samples/all.ts";

// Far more than any takes, for machines that are slow or busy.
const timeout = 60_000;

const disagreements = async <K extends KernelName>(
  backend: Backend,
  kernel: K,
  activations: ActivationDType,
): Promise<string[]> => {
  const found: string[] = [];
  for (const sample of samples[kernel]) {
    for (const layout of ["aligned", "odd"] as const) {
      const message = await disagreement(backend, kernel, sample, layout, activations);
      if (message !== undefined) found.push(message);
    }
  }
  return found;
};

const takesActivations = (kernel: KernelName): boolean =>
  Object.values(kernels[kernel].buffers).some(({ element }) => element === "activation");

/** The samples whose bits differ between two backends. */
const differences = async <K extends KernelName>(
  one: Backend,
  two: Backend,
  kernel: K,
  activations: ActivationDType,
): Promise<string[]> => {
  const found: string[] = [];
  for (const sample of samples[kernel]) {
    const bits = await resultBits(one, kernel, sample, activations);
    const same = (await resultBits(two, kernel, sample, activations)).every((bytes, i) =>
      bytes.equals(bits[i] as Uint8Array),
    );
    if (!same) found.push(`${kernel} (${sample.name})`);
  }
  return found;
};

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

    for (const [index, threads] of candidate.threads.entries()) {
      test.for(names)(`%s agrees with the reference in float64 (threads: ${threads})`, { timeout }, async (kernel) => {
        const backend = backends[index] as Backend;
        expect((await disagreements(backend, kernel, activations)).join("\n")).toBe("");
        expect(backend.bytesInUse()).toBe(0);
      });
    }

    if (candidate.threads.length < 2) return;
    test.for(names)("%s gives the same bits for every number of threads", { timeout }, async (kernel) => {
      const [one, ...others] = backends as [Backend, ...Backend[]];
      for (const other of others) expect((await differences(one, other, kernel, activations)).join("\n")).toBe("");
    });
  });
}
