/** Chooses a backend: by name, or the best one. */

import { checkBoolean, checkChoice, checkKeys, checkName } from "../core/checks/check-arguments.ts";
import { ConfigError, UnsupportedKernelError } from "../core/errors/errors.ts";
import { type DTypeChoice, dtypeChoices, type ProductDType } from "../core/tensors/dtype.ts";
import { showWord } from "../core/text/show.ts";
import { adviceFor } from "./advice.ts";
import { askedInstructionSet } from "./asked-instruction-set.node.ts";
import type { Backend, BackendName } from "./backend.ts";
import { type BackendChoice, backendChoices, order } from "./choices.node.ts";
import { defaultThreads } from "./implementations/compiled/default-threads.node.ts";
import { adviceOnNative, loadsNative, openNative, probeNative } from "./implementations/native/native.node.ts";
import { checkReference, referenceInstructionSets } from "./instruction-sets.ts";

// The other backends are loaded only when they are needed. Most processes use only one backend, and the native backend
// is tried first.
const loadWasm = () => import("./implementations/wasm/node.ts");
const loadReference = () => import("./implementations/reference/reference.ts");

/** A backend's settings, or the reason why the backend is not available. */
export type BackendDescription =
  | {
      /** The backend. */
      readonly name: BackendName;
      /** Whether the backend works on this machine. */
      readonly available: true;
      /** Default instruction set. */
      readonly instructionSet: string;
      /** All available instruction sets, the default one first. */
      readonly instructionSets: readonly string[];
      /** Instruction sets that this machine supports but that are not compiled. */
      readonly notCompiled: readonly string[];
      /** Default number of threads. */
      readonly threads: number;
      /** The number format that the dtype `auto` selects on this machine. */
      readonly fasterDtype: ProductDType;
    }
  | {
      /** The backend. */
      readonly name: BackendName;
      /** Whether the backend works on this machine. */
      readonly available: false;
      /** Why the backend does not work, in one line. */
      readonly reason: string;
    };

/** All backends, as `describeBackends` returns them. */
export interface BackendReport {
  /** Best first. */
  readonly backends: readonly BackendDescription[];
  /** The backend that `auto` chooses, and the reason. */
  readonly auto: {
    /** The chosen backend. */
    readonly name: BackendName;
    /** The reason for the choice, in one line. */
    readonly why: string;
    /**
     * Tells the user in one line how to get native kernels. Undefined if native kernels are in use or not available for
     * this machine. Also undefined if the user decided against native kernels: FORETOKEN_NO_NATIVE hides them, or they
     * lack the requested instruction set. With FORETOKEN_ISA=relaxed-simd the line says that native kernels would be
     * faster.
     */
    readonly advice?: string | undefined;
  };
}

type Available = BackendDescription & { readonly available: true };
type Unavailable = BackendDescription & { readonly available: false };

type Probe = (asked?: string) => Promise<Omit<Available, "name" | "available" | "threads">>;

const probes: Readonly<Record<BackendName, Probe>> = {
  native: async (asked) => probeNative(asked),
  wasm: async (asked) => {
    const { probeWasm } = await loadWasm();
    return { ...(await probeWasm(asked)), notCompiled: [], fasterDtype: "float32" };
  },
  reference: async () => ({
    instructionSet: "javascript",
    instructionSets: referenceInstructionSets,
    notCompiled: [],
    fasterDtype: "float32",
  }),
};

/**
 * The options on which the choice of a backend depends. The number of threads is not such an option, so
 * FORETOKEN_THREADS is not read if the caller sets a number of threads.
 */
type Looked = Omit<Available, "threads"> | Unavailable;

const lookAt = async (name: BackendName, asked?: string): Promise<Looked> => {
  try {
    return { name, available: true, ...(await probes[name](asked)) };
  } catch (error) {
    // An unavailable instruction set is a mistake of the user, so no other backend is silently used instead.
    if (!(error instanceof UnsupportedKernelError)) throw error;
    return { name, available: false, reason: error.message };
  }
};

const autoOf = (looked: readonly Looked[], asked?: string): BackendReport["auto"] | undefined => {
  const best = looked.find((backend) => backend.available);
  if (best === undefined) return undefined;
  const missing = looked.flatMap((backend) => (backend.available ? [] : [backend.reason]));
  const why = [`the fastest backend here (${best.instructionSet})`, ...missing].join("; ");
  const native = () => ({ advice: adviceOnNative(), loads: loadsNative() });
  const advice = best.name === "native" ? undefined : adviceFor(askedInstructionSet(asked), native);
  return { name: best.name, why, ...(advice === undefined ? {} : { advice }) };
};

const noReference = (): Error => new Error("the reference backend must always be available");

/**
 * Returns every backend with its settings or the reason why it is not available, and the choice of `auto`. This
 * function opens no backend.
 * @throws ConfigError if FORETOKEN_ISA names an unavailable instruction set, or FORETOKEN_THREADS a bad number
 * @example
 * ```ts
 * import { describeBackends } from "foretoken";
 *
 * const { backends, auto } = await describeBackends();
 * console.log(auto.name, auto.why, backends.map(({ name, available }) => [name, available]));
 * ```
 */
export const describeBackends = async (): Promise<BackendReport> => {
  const looked = await Promise.all(order.map((name) => lookAt(name)));
  const auto = autoOf(looked);
  if (auto === undefined) throw noReference();
  const backends = looked.map((one) =>
    one.available ? { ...one, threads: one.name === "reference" ? 1 : defaultThreads() } : one,
  );
  return { backends, auto };
};

/**
 * Returns the backend that `auto` chooses, and the reason. Later backends are not probed, because probing would delay
 * the start.
 * @param asked an instruction set, as in `BackendOptions`
 * @throws ConfigError for an unavailable instruction set
 */
export const findAuto = async (asked?: string): Promise<BackendReport["auto"]> => {
  const looked: Looked[] = [];
  for (const name of order) {
    looked.push(await lookAt(name, asked));
    const auto = autoOf(looked, asked);
    if (auto !== undefined) return auto;
  }
  throw noReference();
};

/** Options of `openBackend`. */
export interface BackendOptions {
  /**
   * Number of threads, from 1 to 256. Default: FORETOKEN_THREADS if it is set, otherwise the number of threads that the
   * machine runs at the same time. The reference backend always has one thread.
   */
  readonly threads?: number | undefined;
  /** Number format of matrix products. Default: float32. `auto` takes the format that is faster on this machine. */
  readonly dtype?: DTypeChoice | undefined;
  /**
   * An instruction set of the backend. `describeBackends` lists the instruction sets. Default: FORETOKEN_ISA if it is
   * set, otherwise the best set that gives the same results in every engine.
   */
  readonly instructionSet?: string | undefined;
  /**
   * Whether float32 products must be fast for many rows. Training multiplies many rows, and generation multiplies
   * single rows, which then become slower. The option matters only with AMX: tiles then multiply each float32 as three
   * bfloat16 numbers. The results are equally exact, but their last bits differ. Default: false; `train` uses true.
   */
  readonly manyRows?: boolean | undefined;
}

/**
 * Opens a backend like `openBackend`, but prints no advice. Use this function if the caller prints the advice itself or
 * computes very little.
 */
export const openBackend = async (choice: BackendChoice, options: BackendOptions = {}): Promise<Backend> => {
  checkKeys("openBackend", options, ["threads", "dtype", "instructionSet", "manyRows"]);
  const { threads, dtype = "float32", instructionSet, manyRows = false } = options;
  checkBoolean("manyRows", manyRows);
  checkChoice("dtype", dtype, dtypeChoices);
  if (instructionSet !== undefined) checkName("instructionSet", instructionSet);
  switch (choice) {
    case "auto":
      return openBackend((await findAuto(instructionSet)).name, { threads, dtype, instructionSet, manyRows });
    case "native":
      return openNative({
        threads,
        dtype: dtype === "auto" ? probeNative(instructionSet).fasterDtype : dtype,
        instructionSet,
        manyRows,
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
