import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend, Storage, View } from "#foretoken/backend/backend.js";
import { multiplyingKernels } from "#foretoken/backend/implementations/reference/host-args.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import type { KernelName } from "#foretoken/backend/kernels/kernels.js";
import { kernelNames, kernels } from "#foretoken/backend/kernels/kernels.js";
import { type BufferSpec, holdsIntegers } from "#foretoken/backend/kernels/signature.js";
import type { HostArray } from "#foretoken/core/tensors/dtype.js";
import { agreement } from "./harness.ts";
import type { Sample } from "./sample.ts";
import { samples } from "./samples/all.ts";

const sizeOf = <K extends KernelName>({ buffers }: Sample<K>): number =>
  Object.values<unknown>(buffers).reduce<number>((sum, one) => sum + (ArrayBuffer.isView(one) ? one.byteLength : 0), 0);

/**
 * Messages for the samples that a backend's kernel fails, at most `enough` messages. Small samples are tested first.
 */
const failures = async <K extends KernelName>(
  backend: Backend,
  kernel: K,
  enough: number,
  fits: (sample: Sample<K>) => boolean = () => true,
): Promise<string[]> => {
  const found: string[] = [];
  const given: readonly Sample<K>[] = samples[kernel];
  for (const sample of given.filter(fits).sort((a, b) => sizeOf(a) - sizeOf(b))) {
    if (found.length >= enough) break;
    const { fault } = await agreement(backend, kernel, sample, "odd");
    if (fault !== undefined) found.push(fault);
  }
  return found;
};

/** A kernel must fail more than half of its samples. After this number of failures, the test ends. */
const most = (kernel: KernelName): number => Math.floor(samples[kernel].length / 2) + 1;

/** Truncates each float32 to the first `bits` bits of its significand. */
const cut = (values: Float32Array, bits: number): Float32Array => {
  const words = new Uint32Array(values.slice().buffer);
  return new Float32Array(words.map((word) => word & (-1 << (24 - bits))).buffer);
};

/**
 * The backend with inputs of fewer bits. This backend is for kernels with outputs that share no storage with an input.
 */
const withInputsOf = (bits: number, backend: Backend): Backend => {
  const written = new Map<Storage, HostArray>();
  const write: Backend["write"] = (storage, data) => {
    if (!(data instanceof Uint16Array)) written.set(storage, data);
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
    for (const s of inputs) backend.write(s, cut(original(s), bits));
    backend.run(called, args);
    for (const s of inputs) backend.write(s, original(s));
  };
  return { ...backend, write, run };
};

describe("the suite notices", () => {
  let backend: Backend;
  /** The smallest sample that fails if the kernel does nothing. */
  const smallestChanging = async <K extends KernelName>(kernel: K): Promise<Sample<K> | undefined> => {
    const given: readonly Sample<K>[] = samples[kernel];
    for (const sample of given.toSorted((a, b) => sizeOf(a) - sizeOf(b))) {
      const { fault } = await agreement({ ...backend, run: () => {} }, kernel, sample, "odd");
      if (fault !== undefined) return sample;
    }
    return undefined;
  };
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
        const wrong = view.storage.dtype === "int32" ? Int32Array.of(123) : Float32Array.of(0.123);
        backend.write(view.storage, wrong, view.offset - 1);
      };
      // Tests only samples with this buffer in their call.
      const has = ({ buffers }: { readonly buffers: object }) => (buffers as Record<string, unknown>)[name] !== null;
      const found = await failures({ ...backend, run }, kernel, 1, has);
      expect(found.join("\n"), name).toContain("outside of every buffer");
    }
  });

  /**
   * Whether a kernel reads real numbers. The kernel `fill` has no input, and some kernels read only quantized blocks.
   */
  const readsNumbers = (kernel: KernelName): boolean =>
    Object.values(kernels[kernel].buffers).some((spec) => spec.access !== "out" && !holdsIntegers(spec));

  // If a kernel passed with inputs of eight bits, its tolerance would be too large to find errors.
  test.for(kernelNames.filter(readsNumbers))("a %s with inputs of bfloat16 precision", async (kernel) => {
    expect(await failures(withInputsOf(8, backend), kernel, most(kernel))).toHaveLength(most(kernel));
  });

  // Rounding to bfloat16 may add a relative error of 2⁻⁸. Truncating to six bits may add up to 2⁻⁵.
  test.for(multiplyingKernels)("a %s of bfloat16 with inputs of a quarter of that precision", async (kernel) => {
    const exact = await openReference({ dtype: "bfloat16" });
    const messages = await failures(withInputsOf(6, exact), kernel, most(kernel));
    exact.close();
    expect(messages).toHaveLength(most(kernel));
  });

  test.for(kernelNames)("a %s with other bits for another number of threads", async (kernel) => {
    const sample = await smallestChanging(kernel);
    if (sample === undefined) return expect.fail("no sample");
    const same = await agreement(backend, kernel, sample, "odd", "float32", [backend]);
    expect(same).toEqual({ fault: undefined, sameBits: true });
    const other = { ...backend, run: () => {} };
    expect(await agreement(backend, kernel, sample, "odd", "float32", [other])).toEqual({ ...same, sameBits: false });
  });
});
