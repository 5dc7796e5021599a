/** Chooses a backend: by name, or the best one. */

import { checkBoolean, checkChoice, checkKeys, checkName } from "../core/checks/check-arguments.ts";
import { ConfigError, UnsupportedKernelError } from "../core/errors/errors.ts";
import { type DTypeChoice, dtypeChoices, type ProductDType } from "../core/tensors/dtype.ts";
import { showWord } from "../core/text/show.ts";
import { adviceFor } from "./advice.ts";
import { askedInstructionSet } from "./asked-instruction-set.node.ts";
import type { Backend, BackendName } from "./backend.ts";
import { defaultThreads } from "./implementations/compiled/default-threads.node.ts";
import { adviceOnNative, loadsNative, openNative, probeNative } from "./implementations/native/native.node.ts";
import { checkReference, referenceInstructionSets } from "./instruction-sets.ts";

// The other backends are loaded only when they are needed: most processes use only one backend, and the native backend
// is tried first.
const loadWasm = () => import("./implementations/wasm/node.ts");
const loadReference = () => import("./implementations/reference/reference.ts");

/** Best first. */
const order = ["native", "wasm", "reference"] as const satisfies readonly BackendName[];

export const backendChoices = ["auto", ...order] as const;
/** Name of a backend, or "auto", which takes the fastest backend that works here. */
export type BackendChoice = (typeof backendChoices)[number];

/** A backend's settings, or the reason why it is missing. */
export type BackendDescription =
  | {
      /** The backend. */
      readonly name: BackendName;
      /** Whether it works here. */
      readonly available: true;
      /** Default instruction set. */
      readonly instructionSet: string;
      /** All available sets, the default one first. */
      readonly instructionSets: readonly string[];
      /** Sets that this machine supports but that are not compiled. */
      readonly notCompiled: readonly string[];
      /** Default number of threads. */
      readonly threads: number;
      /** The number format that the dtype `auto` selects here. */
      readonly fasterDtype: ProductDType;
    }
  | {
      /** The backend. */
      readonly name: BackendName;
      /** Whether it works here. */
      readonly available: false;
      /** Why not, in one line. */
      readonly reason: string;
    };

/** All backends, as `describeBackends` reports them. */
export interface BackendReport {
  /** Best first. */
  readonly backends: readonly BackendDescription[];
  /** The choice of `auto`, and why. */
  readonly auto: {
    /** The chosen backend. */
    readonly name: BackendName;
    /** The reason, in one line. */
    readonly why: string;
    /**
     * How to get native kernels, in one line for the user. Undefined if they are in use or not available for this
     * machine. Also undefined if the user decided against them: FORETOKEN_NO_NATIVE hides them, or the requested
     * instruction set is one that they lack. With FORETOKEN_ISA=relaxed-simd the line says that native kernels would be
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
 * The options that the choice of a backend depends on. Threads are not among them, so FORETOKEN_THREADS is not read if
 * the caller sets a number.
 */
type Looked = Omit<Available, "threads"> | Unavailable;

const lookAt = async (name: BackendName, asked?: string): Promise<Looked> => {
  try {
    return { name, available: true, ...(await probes[name](asked)) };
  } catch (error) {
    // A user who requests an unavailable instruction set has made a mistake, so no other backend is taken silently.
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
 * Every backend with its settings or why it is missing, and the choice of `auto`. Opens nothing.
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
 * The choice of `auto`, and why. Later backends are not probed, because that would delay the start.
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
  /** Number format of matrix products. Default: float32. `auto` takes the format that is faster here. */
  readonly dtype?: DTypeChoice | undefined;
  /**
   * One of the backend's instruction sets, as `describeBackends` lists them. Default: FORETOKEN_ISA if it is set,
   * otherwise the best set that gives the same results in every engine.
   */
  readonly instructionSet?: string | undefined;
  /**
   * Whether float32 products must be fast for many rows, as in training, even if they become slower for single rows, as
   * in generation. It matters only with AMX. Tiles then multiply each float32 as three bfloat16 numbers. The results
   * are equally exact, but their last bits differ. Default: false; `train` uses true.
   */
  readonly manyRows?: boolean | undefined;
}

/**
 * `openBackend` of the library without advice. It is for callers that print the advice themselves or compute very
 * little.
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
