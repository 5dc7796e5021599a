import type { Backend } from "#foretoken/backend/backend.js";
import { openNative, probeNative } from "#foretoken/backend/native/native.node.js";
import { openReference } from "#foretoken/backend/reference/reference.js";
import { openWasm, probeWasm } from "#foretoken/backend/wasm/node.js";
import type { ProductDType } from "#foretoken/core/dtype.js";
import { UnsupportedKernelError } from "#foretoken/core/errors.js";

interface Present {
  readonly kind: "present";
  readonly name: string;
  readonly dtype: ProductDType;
  readonly open: (threads: number) => Promise<Backend>;
  /** How many threads to try it with. */
  readonly threads: readonly number[];
}

/** A backend with one instruction set and one dtype, or the reason in words why it cannot be tested here. */
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

const present = (name: string, threads: readonly number[], open: Opening): Candidate[] =>
  dtypes.map((dtype) => ({
    kind: "present",
    name: `${name} ${dtype}`,
    dtype,
    threads,
    open: (count) => open(dtype, count),
  }));

const native = orMissing("native", async () =>
  probeNative().instructionSets.flatMap((instructionSet) =>
    present(`native ${instructionSet}`, [1, 2], (dtype, threads) => openNative({ threads, dtype, instructionSet })),
  ),
);

const wasm = orMissing("wasm", async () =>
  (await probeWasm()).instructionSets.flatMap((instructionSet) =>
    present(`wasm ${instructionSet}`, [1, 2], (dtype, threads) => openWasm({ threads, dtype, instructionSet })),
  ),
);

export const candidates: readonly Candidate[] = [
  ...present("reference", [1], (dtype) => openReference({ dtype })),
  ...(await native),
  ...(await wasm),
];
