import type { Backend } from "#foretoken/backend/backend.js";
import { openNative, probeNative } from "#foretoken/backend/implementations/native/native.node.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { openWasm, probeWasm } from "#foretoken/backend/implementations/wasm/node.js";
import { UnsupportedKernelError } from "#foretoken/core/errors/errors.js";
import type { ProductDType } from "#foretoken/core/tensors/dtype.js";
import type { Layout } from "./harness.ts";

interface Present {
  readonly kind: "present";
  readonly name: string;
  readonly dtype: ProductDType;
  /** Number format of the buffers of activations. */
  readonly activations: ActivationDType;
  readonly open: (threads: number) => Promise<Backend>;
  /** Numbers of threads to test. */
  readonly threads: readonly number[];
  /** Layouts to test. JavaScript needs no alignment, so one layout is enough for the reference backend. */
  readonly layouts: readonly Layout[];
  /**
   * Whether the backend computes in blocks that are smaller than large samples. The reference backend has no blocks, so
   * large samples would test no more than small samples.
   */
  readonly hasBlocks: boolean;
}

export type ActivationDType = "float32" | "bfloat16";

/** A backend with one instruction set and one dtype, or the reason why this machine cannot test it. */
export type Candidate = Present | { readonly kind: "missing"; readonly name: string; readonly reason: string };

const dtypes: readonly ProductDType[] = ["float32", "bfloat16"];

const orMissing = async (name: string, find: () => Promise<Candidate[]>): Promise<Candidate[]> => {
  try {
    return await find();
  } catch (error) {
    if (!(error instanceof UnsupportedKernelError)) throw error;
    return [{ kind: "missing", name, reason: error.message }];
  }
};

type Opening = (dtype: ProductDType, threads: number) => Promise<Backend>;

const present = (
  name: string,
  threads: readonly number[],
  open: Opening,
  activations: ActivationDType = "float32",
  layouts: readonly Layout[] = ["aligned", "odd"],
): Candidate[] =>
  dtypes
    .filter((dtype) => dtype === "bfloat16" || activations === "float32")
    .map((dtype) => ({
      kind: "present",
      name: `${name} ${dtype}${activations === "float32" ? "" : `, ${activations} activations`}`,
      dtype,
      activations,
      threads,
      layouts,
      hasBlocks: name !== "reference",
      open: (count) => open(dtype, count),
    }));

const native = orMissing("native", async () => {
  const found: Candidate[] = [];
  for (const instructionSet of probeNative().instructionSets) {
    const open: Opening = (dtype, threads) => openNative({ threads, dtype, instructionSet });
    found.push(...present(`native ${instructionSet}`, [1, 2], open));
    const probe = await open("bfloat16", 1);
    const { activations } = probe.capabilities;
    await probe.close();
    const manyRows = await openNative({ threads: 1, instructionSet, manyRows: true });
    if (manyRows.capabilities.tiles !== null)
      found.push({
        kind: "present",
        name: `native ${instructionSet} float32, by tiles`,
        dtype: "float32",
        activations: "float32",
        threads: [1, 2],
        layouts: ["aligned", "odd"],
        hasBlocks: true,
        open: (threads) => openNative({ threads, instructionSet, manyRows: true }),
      });
    await manyRows.close();
    if (activations === "bfloat16") found.push(...present(`native ${instructionSet}`, [1, 2], open, activations));
  }
  return found;
});

const wasm = orMissing("wasm", async () =>
  (await probeWasm()).instructionSets.flatMap((instructionSet) =>
    present(`wasm ${instructionSet}`, [1, 2], (dtype, threads) => openWasm({ threads, dtype, instructionSet })),
  ),
);

export const candidates: readonly Candidate[] = [
  ...present("reference", [1], (dtype) => openReference({ dtype }), "float32", ["odd"]),
  ...(await native),
  ...(await wasm),
];
