import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { kernelPlans } from "#foretoken/backend/calls/check.js";
import { multiplyingKernels } from "#foretoken/backend/implementations/reference/host-args.js";
import { kernelNames, kernels } from "#foretoken/backend/kernels/kernels.js";
import {
  activation,
  input,
  kernel,
  maxStorageBuffers,
  output,
  type Split,
} from "#foretoken/backend/kernels/signature.js";

interface Generator {
  readonly kernelHeader: string;
  headerOf(declarations: Readonly<Record<string, object>>): string;
}

// The import uses a URL, because the scripts have no types.
const script = new URL("../../../scripts/build/kernel-header.mjs", import.meta.url).href;
const { kernelHeader, headerOf } = (await import(script)) as Generator;

const splitOf = (declaration: { readonly split?: Split }): Split | undefined => declaration.split;

describe.for(kernelNames)("the declaration of %s", (name) => {
  const { buffers } = kernelPlans[name];
  const split = splitOf(kernels[name] as object);

  test("says what it computes", () => {
    expect(kernels[name].purpose).toMatch(/\S.*[^.]$/);
  });

  test("a GPU can bind its buffers, at once or pass by pass", () => {
    if (split === undefined) {
      expect(buffers.length).toBeLessThanOrEqual(maxStorageBuffers);
      return;
    }
    for (const { reads, writes } of split.passes) {
      const bound = [...reads, ...writes];
      expect(new Set(bound).size).toBe(bound.length);
      expect(bound.length).toBeLessThanOrEqual(maxStorageBuffers);
    }
  });

  test("its passes read every input, write every output once, and read only what is there", () => {
    if (split === undefined) return;
    const reads = new Set(split.passes.flatMap((pass) => pass.reads));
    const writes = split.passes.flatMap((pass) => pass.writes);
    const scratch = Object.keys(split.scratch);
    const named = (written: boolean) =>
      buffers.filter(([, { access }]) => (access !== "in") === written).map(([buffer]) => buffer);
    expect([...reads].sort()).toEqual([...named(false), ...scratch].sort());
    expect([...writes].sort()).toEqual([...named(true), ...scratch].sort());
    for (const between of scratch) {
      const made = split.passes.findIndex((pass) => pass.writes.includes(between));
      expect(split.passes.findIndex((pass) => pass.reads.includes(between))).toBeGreaterThan(made);
    }
  });
});

test("the kernels that round operands to a dtype are those that multiply", () => {
  const multiplying = kernelNames.filter((name) => kernelPlans[name].cost.flops !== undefined);
  // With weights in blocks, activations are rounded to 8 bits for any dtype.
  const others = multiplying.filter((name) => name !== "blocksLinearForward");
  expect([...multiplyingKernels].sort()).toEqual(others.sort());
});

test("a declaration that names what it does not have does not compile", () => {
  const declared = {
    purpose: "y = x",
    buffers: { x: input, a: activation, y: output },
    ints: ["n"],
    floats: [],
    lengths: ({ n }: { n: number }) => ({ x: n, a: n, y: n }),
  } as const;
  kernel({ ...declared, limits: [{ kind: "positive", size: "n" }], shares: { y: ["x"] } });
  // @ts-expect-error: no such integer
  kernel({ ...declared, limits: [{ kind: "positive", size: "m" }] });
  // @ts-expect-error: x is always given
  kernel({ ...declared, limits: [{ kind: "zero", size: "n", given: "x" }] });
  // @ts-expect-error: x holds no activations
  kernel({ ...declared, oneType: ["x", "a"] });
  // @ts-expect-error: x is not written
  kernel({ ...declared, shares: { x: ["y"] } });
  // @ts-expect-error: y is overwritten, so nothing of it is read
  kernel({ ...declared, cost: { unread: ["y"] } });
  // @ts-expect-error: no buffer z, and no such scratch
  kernel({ ...declared, split: { scratch: {}, passes: [{ reads: ["z"], writes: ["y"] }] } });
});

describe("the header for C++", () => {
  test("is that of the declarations", () => {
    const committed = readFileSync(new URL(`../../../${kernelHeader}`, import.meta.url), "utf8");
    expect(committed).toBe(headerOf(kernels));
  });

  test("names each argument with its type, and marks the buffers of activations", () => {
    const header = headerOf({
      mixed: {
        purpose: "y = x",
        buffers: { x: { access: "in", element: "activation", optional: true }, y: output },
        ints: ["n"],
        floats: ["eps"],
      },
    });
    expect(header).toContain('{"mixed", 2, 1, 1, 0b01}');
    expect(header).toContain(
      "  OptionalActivationBuffer<const float> x;\n  Buffer<float> y;\n  int64_t n;\n  double eps;\n",
    );
    expect(header).toContain("kernel(mixed, MixedArgs)");
  });

  test.for([["of"], ["bfloat16"], ["n n"], ["n", "n"]])("has no argument named %s", (ints) => {
    const declaration = { purpose: "y = 0", buffers: { y: output }, ints, floats: [] };
    expect(() => headerOf({ named: declaration })).toThrow(/named: .* cannot be the name of an argument in C\+\+/);
  });
});
