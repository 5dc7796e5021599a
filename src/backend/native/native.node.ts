/** The native backend: the C++ kernels as a Node-API addon, with the best instruction set that this machine has. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { HostArray } from "../../core/dtype.ts";
import { ConfigError, UnsupportedKernelError } from "../../core/errors.ts";
import type { Backend } from "../backend.ts";
import type { CompiledKernel, PacketLimits } from "../compiled.ts";
import { checkCompiledKernels, checkThreads, compiledBackend } from "../compiled.ts";

/** What native/napi.cc exports. */
interface Addon {
  /** Usable on this machine, best first. */
  readonly instructionSets: readonly string[];
  readonly kernels: readonly CompiledKernel[];
  readonly limits: PacketLimits;
  open(instructionSet: string, threads: number): AddonInstance;
}

interface AddonInstance {
  readonly packet: Float64Array;
  allocate(bytes: number): number;
  release(handle: number): void;
  write(handle: number, byteOffset: number, data: HostArray): boolean;
  read(handle: number, byteOffset: number, into: HostArray): boolean;
  run(): number;
  close(): void;
}

const unavailable = (must: string, hint?: string, cause?: unknown): UnsupportedKernelError =>
  new UnsupportedKernelError({ where: "native backend", must, ...(hint === undefined ? {} : { hint }), cause });

const loadAddon = (): Addon => {
  if (process.env.FORETOKEN_NO_NATIVE === "1") throw unavailable("is hidden by FORETOKEN_NO_NATIVE=1");
  const file = `./foretoken.${process.platform}-${process.arch}.node`;
  if (!existsSync(fileURLToPath(new URL(file, import.meta.url)))) {
    throw unavailable("is not built for this machine", "npm run build where a C++ compiler is on the path");
  }
  let addon: Addon;
  try {
    addon = createRequire(import.meta.url)(file) as Addon;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw unavailable(`cannot be loaded (${reason})`, "npm run build", error);
  }
  checkCompiledKernels("native", addon.kernels);
  return addon;
};

const chooseInstructionSet = ({ instructionSets }: Addon): string => {
  const forced = process.env.FORETOKEN_ISA;
  if (forced === undefined || forced === "") return instructionSets[0] as string;
  if (instructionSets.includes(forced)) return forced;
  throw new ConfigError({
    where: "FORETOKEN_ISA",
    must: "must name an instruction set that this machine and build have",
    got: forced,
    hint: instructionSets.join(", "),
  });
};

/**
 * What `openNative` would use, without starting anything.
 *
 * @throws {UnsupportedKernelError} where the addon is missing, hidden or of other sources, with the reason
 * @throws {ConfigError} when FORETOKEN_ISA names an instruction set that is not there
 */
export const probeNative = (): { readonly instructionSet: string; readonly instructionSets: readonly string[] } => {
  const addon = loadAddon();
  return { instructionSet: chooseInstructionSet(addon), instructionSets: addon.instructionSets };
};

export interface NativeOptions {
  /** 1 to 256; by default as many as the machine runs at a time. */
  readonly threads?: number | undefined;
}

/**
 * Opens the native backend. Its threads are its own and end with `close`, or with the thread of Node that opened it.
 * The environment variable FORETOKEN_ISA forces an instruction set.
 *
 * @throws {UnsupportedKernelError} where the addon is missing, hidden or of other sources, with the reason
 * @throws {ConfigError} for a number of threads, or a FORETOKEN_ISA, that cannot be had
 */
export const openNative = async ({ threads = availableParallelism() }: NativeOptions = {}): Promise<Backend> => {
  checkThreads(threads);
  const addon = loadAddon();
  const instructionSet = chooseInstructionSet(addon);
  const instance = addon.open(instructionSet, threads);
  return compiledBackend("native", {
    instructionSet,
    threads,
    limits: addon.limits,
    packet: instance.packet,
    allocate: instance.allocate,
    release: instance.release,
    write: instance.write,
    read: instance.read,
    run: instance.run,
    close: async () => instance.close(),
  });
};
