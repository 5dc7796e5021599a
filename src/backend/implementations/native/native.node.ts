/** The native backend: C++ kernels as a Node-API addon, using the machine's best instruction set. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { ConfigError, UnsupportedKernelError } from "../../../core/errors/errors.ts";
import type { ProductDType } from "../../../core/tensors/dtype.ts";
import { askedInstructionSet } from "../../asked-instruction-set.node.ts";
import type { Backend } from "../../backend.ts";
import { chooseNative, fasterDtypeOf, hasTiles, takesNarrow } from "../../instruction-sets.ts";
import { compiledBackend } from "../compiled/compiled.ts";
import { defaultThreads } from "../compiled/default-threads.node.ts";
import {
  type CompiledKernel,
  checkCompiledKernels,
  checkThreads,
  type Engine,
  type PacketLimits,
} from "../compiled/engine.ts";
import { addonFile, findPrebuilt } from "./prebuilt.node.ts";

/** Exports of native/napi.cc. */
interface Addon {
  /** Instruction sets that work on this machine, best first. */
  readonly instructionSets: readonly string[];
  /** Instruction sets that this machine supports but the addon lacks, best first. */
  readonly notCompiled: readonly string[];
  /** Whether the CPU multiplies pairs of bfloat16 faster than float32, without tiles. */
  readonly pairsAreFast: boolean;
  readonly kernels: readonly CompiledKernel[];
  readonly limits: PacketLimits;
  open(instructionSet: string, threads: number): AddonInstance;
}

interface AddonInstance
  extends Pick<Engine, "packet" | "allocate" | "release" | "write" | "read" | "run" | "runAll" | "runBeside">,
    Required<Pick<Engine, "view">> {
  close(): void;
}

/** The package's root folder, both in a clone and in an installed package. */
const root = fileURLToPath(new URL("../../../../", import.meta.url));
const builder = join(root, "scripts/build/native.mjs");
/** The addon that was built on this machine. Undefined if no addon was built. */
const built = fileURLToPath(new URL(addonFile, import.meta.url));

const where = "native backend";

const isHidden = (): boolean => process.env.FORETOKEN_NO_NATIVE === "1";

/** Whether scripts/build/native.mjs can build the addon on this kind of machine. */
const canBeBuilt = process.platform !== "win32" && ["x64", "arm64"].includes(process.arch);

/**
 * The addon's file, with a hint for an addon that does not load. If there is no file, the package that provides the
 * file.
 */
type FoundAddon =
  | { readonly file: string; readonly again: string }
  | { readonly file: null; readonly package: string | undefined };

const withCompiler = (): string => `${buildCommand()} with a C++ compiler on the path`;

/** A locally built addon is preferred to a prebuilt addon, because it was built for this machine. */
const findAddon = (): FoundAddon => {
  if (existsSync(built)) return { file: built, again: "npm run build" };
  const prebuilt = findPrebuilt(root);
  if (typeof prebuilt?.file === "string") return { file: prebuilt.file, again: withCompiler() };
  return { file: null, package: prebuilt?.name };
};

const noAddon = (name: string | undefined): UnsupportedKernelError =>
  new UnsupportedKernelError({
    where,
    must: `the addon must be built for ${process.platform} ${process.arch}`,
    ...(name === undefined
      ? { got: "no such file", hint: withCompiler() }
      : {
          got: `no such file, and no package ${name}`,
          hint: `installing with optional packages, or ${withCompiler()}`,
        }),
  });

const loadAddon = (): Addon => {
  if (isHidden()) {
    throw new UnsupportedKernelError({
      where,
      must: "the native kernels must not be hidden",
      got: "FORETOKEN_NO_NATIVE=1",
    });
  }
  const found = findAddon();
  if (found.file === null) throw noAddon(found.package);
  const { file, again } = found;
  let addon: Addon;
  try {
    addon = createRequire(import.meta.url)(file) as Addon;
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new UnsupportedKernelError({ where, must: "the addon must load", got, hint: again, cause });
  }
  checkCompiledKernels("native", addon.kernels);
  return addon;
};

/** The command that builds the addon, relative to the current folder. */
export const buildCommand = (): string => `node ${relative(process.cwd(), builder)}`;

const chooseSet = ({ instructionSets, notCompiled }: Addon, asked: string | undefined): string =>
  chooseNative(instructionSets, askedInstructionSet(asked), { names: notCompiled, command: buildCommand() });

/**
 * The settings that `openNative` would use. This function opens no backend.
 * @param asked the instruction set, as in `NativeOptions`
 * @throws UnsupportedKernelError with the reason, if the addon is missing, hidden or built from other sources
 * @throws ConfigError for an instruction set that is not available
 */
export const probeNative = (
  asked?: string,
): {
  readonly instructionSet: string;
  readonly instructionSets: readonly string[];
  /** Instruction sets that this machine supports but the addon lacks. */
  readonly notCompiled: readonly string[];
  readonly fasterDtype: ProductDType;
} => {
  const addon = loadAddon();
  const { instructionSets, notCompiled, pairsAreFast } = addon;
  const instructionSet = chooseSet(addon, asked);
  return { instructionSet, instructionSets, notCompiled, fasterDtype: fasterDtypeOf(instructionSet, pairsAreFast) };
};

/**
 * One line that says how to get native kernels. The line continues a sentence. The line exists only if native kernels
 * are missing but available for this machine. Undefined if native kernels load, if FORETOKEN_NO_NATIVE hides them, or
 * if they do not exist for this kind of machine.
 */
export const adviceOnNative = (): string | undefined => {
  if (isHidden() || !canBeBuilt) return undefined;
  const slower = "several times slower than native kernels";
  try {
    const found = findAddon();
    if (found.file === null) {
      return found.package === undefined
        ? `${slower}; to build them with a C++ compiler: ${buildCommand()}`
        : `${slower}; to install them (package ${found.package}): npm install --include=optional`;
    }
    loadAddon();
    return undefined;
  } catch (error) {
    if (!(error instanceof UnsupportedKernelError)) throw error;
    return `${slower}; ${error.message}`;
  }
};

/** Whether native kernels exist and load. FORETOKEN_NO_NATIVE hides them. */
export const loadsNative = (): boolean => {
  try {
    loadAddon();
    return true;
  } catch (error) {
    if (!(error instanceof UnsupportedKernelError)) throw error;
    return false;
  }
};

const openInstance = (addon: Addon, instructionSet: string, threads: number): AddonInstance => {
  try {
    return addon.open(instructionSet, threads);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError({
      where,
      must: `${threads} threads must start`,
      got,
      hint: "fewer",
      cause,
    });
  }
};

export interface NativeOptions {
  /**
   * Number of threads, from 1 to 256. Default: FORETOKEN_THREADS if it is set, otherwise the number of threads that the
   * machine runs at the same time.
   */
  readonly threads?: number | undefined;
  /** Number format of matrix products; default: float32. */
  readonly dtype?: ProductDType | undefined;
  /**
   * Instruction set. Default: FORETOKEN_ISA if it is set, otherwise the best set that this machine and this build
   * support.
   */
  readonly instructionSet?: string | undefined;
  /** As in `BackendOptions`. */
  readonly manyRows?: boolean | undefined;
}

/**
 * Opens the native backend with its own threads. The threads end with `close`, or with the Node thread that opened the
 * backend.
 * @throws UnsupportedKernelError with the reason, if the addon is missing, hidden or built from other sources
 * @throws ConfigError for a number of threads or an instruction set that is not available
 */
export const openNative = async ({
  threads = defaultThreads(),
  dtype = "float32",
  instructionSet: asked,
  manyRows = false,
}: NativeOptions = {}): Promise<Backend> => {
  checkThreads(threads);
  const addon = loadAddon();
  const instructionSet = chooseSet(addon, asked);
  const instance = openInstance(addon, instructionSet, threads);
  const engine: Engine = {
    instructionSet,
    threads,
    limits: addon.limits,
    narrow: takesNarrow(instructionSet),
    tiles: hasTiles(instructionSet),
    packet: instance.packet,
    allocate: instance.allocate,
    release: instance.release,
    write: instance.write,
    read: instance.read,
    view: instance.view,
    run: instance.run,
    runAll: instance.runAll,
    runBeside: instance.runBeside,
    close: async () => instance.close(),
  };
  return compiledBackend("native", engine, dtype, manyRows);
};
