import type { Backend } from "#foretoken/backend/backend.js";
import { openNative, probeNative } from "#foretoken/backend/native/native.node.js";
import { openReference } from "#foretoken/backend/reference/reference.js";
import { openWasm, probeWasm } from "#foretoken/backend/wasm/node.js";
import { UnsupportedKernelError } from "#foretoken/core/errors.js";

interface Present {
  readonly kind: "present";
  readonly name: string;
  readonly open: (threads: number) => Promise<Backend>;
  /** How many threads to try it with. */
  readonly threads: readonly number[];
}

/** A backend with one instruction set, or the reason in words why it cannot be tested here. */
export type Candidate = Present | { readonly kind: "missing"; readonly name: string; readonly reason: string };

// openNative reads the variable before it waits for anything.
const openNativeWith = (instructionSet: string, threads: number): Promise<Backend> => {
  const before = process.env.FORETOKEN_ISA;
  process.env.FORETOKEN_ISA = instructionSet;
  try {
    return openNative({ threads });
  } finally {
    if (before === undefined) delete process.env.FORETOKEN_ISA;
    else process.env.FORETOKEN_ISA = before;
  }
};

const orMissing = async (name: string, find: () => Promise<Candidate[]>): Promise<Candidate[]> => {
  try {
    return await find();
  } catch (error) {
    if (!(error instanceof UnsupportedKernelError)) throw error;
    return [{ kind: "missing", name, reason: error.message }];
  }
};

const native = orMissing("native", async () =>
  probeNative().instructionSets.map((set) => ({
    kind: "present",
    name: `native ${set}`,
    open: (threads) => openNativeWith(set, threads),
    threads: [1, 2],
  })),
);

const wasm = orMissing("wasm", async () => {
  await probeWasm();
  return [{ kind: "present", name: "wasm", open: (threads) => openWasm({ threads }), threads: [1, 2] }];
});

export const candidates: readonly Candidate[] = [
  { kind: "present", name: "reference", open: () => openReference(), threads: [1] },
  ...(await native),
  ...(await wasm),
];
