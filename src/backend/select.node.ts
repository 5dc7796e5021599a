/** Which backend serves: the choice by name, or the best there is. */

import { availableParallelism } from "node:os";
import { checkChoice, checkName, checkOptions } from "../core/check-arguments.ts";
import { type DTypeChoice, dtypeChoices, type ProductDType } from "../core/dtype.ts";
import { ConfigError, UnsupportedKernelError } from "../core/errors.ts";
import { showWord } from "../core/show.ts";
import type { Backend, BackendName } from "./backend.ts";
import { openNative, probeNative } from "./implementations/native/native.node.ts";
import { checkReference, referenceInstructionSets } from "./instruction-sets.ts";

// Most starts need one backend, and the native one first: the others are loaded when they are asked for.
const loadWasm = () => import("./implementations/wasm/node.ts");
const loadReference = () => import("./implementations/reference/reference.ts");

/** Best first. */
const order = ["native", "wasm", "reference"] as const satisfies readonly BackendName[];

export const backendChoices = ["auto", ...order] as const;
/** A backend by name, or the fastest that works here. */
export type BackendChoice = (typeof backendChoices)[number];

/** What a backend would use here, or why it is missing. */
export type BackendDescription =
  | {
      readonly name: BackendName;
      readonly available: true;
      readonly instructionSet: string;
      /** All that it could use: the one that it takes unasked, then others. */
      readonly instructionSets: readonly string[];
      /** This machine could use them too, if they were compiled. */
      readonly notCompiled: readonly string[];
      /** Used unless told otherwise. */
      readonly threads: number;
      /** What the dtype `auto` takes. */
      readonly fasterDtype: ProductDType;
    }
  | { readonly name: BackendName; readonly available: false; readonly reason: string };

/** All backends, as `describeBackends` finds them. */
export interface BackendReport {
  /** Best first. */
  readonly backends: readonly BackendDescription[];
  /** What `auto` takes, and why. */
  readonly auto: { readonly name: BackendName; readonly why: string };
}

type Probe = (asked?: string) => Promise<Omit<BackendDescription & { available: true }, "name" | "available">>;

const probes: Readonly<Record<BackendName, Probe>> = {
  native: async (asked) => ({ ...probeNative(asked), threads: availableParallelism() }),
  wasm: async (asked) => {
    const { probeWasm } = await loadWasm();
    return { ...(await probeWasm(asked)), notCompiled: [], threads: availableParallelism(), fasterDtype: "float32" };
  },
  reference: async () => ({
    instructionSet: "javascript",
    instructionSets: referenceInstructionSets,
    notCompiled: [],
    threads: 1,
    fasterDtype: "float32",
  }),
};

const describeBackend = async (name: BackendName, asked?: string): Promise<BackendDescription> => {
  try {
    return { name, available: true, ...(await probes[name](asked)) };
  } catch (error) {
    // An instruction set that cannot be had is the user's mistake: not a reason to take another backend quietly.
    if (!(error instanceof UnsupportedKernelError)) throw error;
    return { name, available: false, reason: error.message };
  }
};

const autoOf = (looked: readonly BackendDescription[]): BackendReport["auto"] | undefined => {
  const best = looked.find((backend) => backend.available);
  if (best === undefined) return undefined;
  const missing = looked.flatMap((backend) => (backend.available ? [] : [backend.reason]));
  return { name: best.name, why: [`the fastest backend here (${best.instructionSet})`, ...missing].join("; ") };
};

const noReference = (): Error => new Error("the reference backend is always there");

/**
 * Every backend with what it would use or why it is missing, and the choice of `auto`. Starts nothing.
 *
 * @throws ConfigError when FORETOKEN_ISA names an instruction set that is not there
 */
export const describeBackends = async (): Promise<BackendReport> => {
  const backends = await Promise.all(order.map((name) => describeBackend(name)));
  const auto = autoOf(backends);
  if (auto === undefined) throw noReference();
  return { backends, auto };
};

/**
 * What `auto` takes, and why. Those after it are not looked for: that would cost a start its time.
 *
 * @param asked an instruction set, as in `BackendOptions`
 * @throws ConfigError when an instruction set is asked for that is not there
 */
export const findAuto = async (asked?: string): Promise<BackendReport["auto"]> => {
  const looked: BackendDescription[] = [];
  for (const name of order) {
    looked.push(await describeBackend(name, asked));
    const auto = autoOf(looked);
    if (auto !== undefined) return auto;
  }
  throw noReference();
};

/** How `openBackend` opens one. */
export interface BackendOptions {
  /** 1 to 256; by default as many as the machine runs at a time. The reference backend has one, always. */
  readonly threads?: number | undefined;
  /** Of the operands of products: float32 unless told otherwise; `auto`, that which is faster here. */
  readonly dtype?: DTypeChoice | undefined;
  /**
   * One of the backend's instruction sets, as `describeBackends` lists them; by default the one that FORETOKEN_ISA
   * names, or else the best that gives the same results in every engine.
   */
  readonly instructionSet?: string | undefined;
}

/**
 * Opens the backend `choice`; `auto` takes the first of native, wasm and reference that works here.
 *
 * @throws UnsupportedKernelError when the one that was named is not there, with the reason
 * @throws ConfigError for an unknown name or dtype, a bad number of threads or an instruction set that is not there
 */
export const openBackend = async (choice: BackendChoice, options: BackendOptions = {}): Promise<Backend> => {
  checkOptions("openBackend: options", options);
  const { threads, dtype = "float32", instructionSet } = options;
  checkChoice("dtype", dtype, dtypeChoices);
  if (instructionSet !== undefined) checkName("instructionSet", instructionSet);
  switch (choice) {
    case "auto":
      return openBackend((await findAuto(instructionSet)).name, { threads, dtype, instructionSet });
    case "native":
      return openNative({
        threads,
        dtype: dtype === "auto" ? probeNative(instructionSet).fasterDtype : dtype,
        instructionSet,
      });
    case "wasm":
      return (await loadWasm()).openWasm({ threads, dtype: dtype === "auto" ? "float32" : dtype, instructionSet });
    case "reference":
      checkReference(instructionSet);
      return (await loadReference()).openReference({ dtype: dtype === "auto" ? "float32" : dtype });
    default:
      throw new ConfigError({
        where: "backend",
        must: `must be one of ${backendChoices.join(", ")}`,
        got: showWord(choice satisfies never),
      });
  }
};
