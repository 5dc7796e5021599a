/**
 * The common part of the native and the WebAssembly backend: storages that reuse freed memory, checks, and calls as
 * packets of numbers (native/dispatch.h). The engine brings a packet to the kernels.
 */

import { ConfigError, ShapeError, UnsupportedKernelError } from "../../core/errors/errors.ts";
import type { DType, HostArray, HostData, ProductDType } from "../../core/tensors/dtype.ts";
import { bytesPerElement, fromBfloat16, hostArray, toBfloat16 } from "../../core/tensors/dtype.ts";
import { show } from "../../core/text/show.ts";
import type { Backend, BackendName, RecordedCalls, Storage, View } from "../backend.ts";
import type { StorageOwner } from "../calls/check.ts";
import { checkAlloc, checkCall, checkOwned, checkRange, checkWrite, kernelPlans } from "../calls/check.ts";
import type { KernelArgs, KernelName } from "../kernels/kernels.ts";
import { kernelNames } from "../kernels/kernels.ts";
import { blockBytes, memoryCache } from "../memory/memory-cache.ts";

/** One kernel of a compiled table: its name and the number of its arguments of each kind. */
export interface CompiledKernel {
  readonly name: string;
  readonly buffers: number;
  readonly ints: number;
  readonly floats: number;
}

/** The largest number of arguments of each kind in a packet. */
export type PacketLimits = Omit<CompiledKernel, "name">;

/** The compiled side of a backend. It knows memory by handle, and a call only by its packet. */
export interface Engine {
  readonly instructionSet: string;
  readonly threads: number;
  readonly limits: PacketLimits;
  /** Whether its kernels take bfloat16 for activations, in a backend opened for bfloat16. */
  readonly narrow: boolean;
  /** Whether products use tiles. */
  readonly tiles: boolean;
  /** Filled before each `run`. */
  readonly packet: Float64Array;
  /** A handle, or -1 when there is no memory left. */
  allocate(bytes: number): number;
  release(handle: number): void;
  /** These return false if the handle is not live or the range not within its memory. */
  write(handle: number, byteOffset: number, data: HostData): boolean;
  read(handle: number, byteOffset: number, into: HostData): boolean;
  /** The memory of a live handle itself, from its beginning; undefined if the range is not within it. */
  view?(handle: number, bytes: number): ArrayBuffer | undefined;
  /**
   * Runs the packet. 0: done; -1: no such kernel; -2: no memory for its scratch; 1 + i: buffer i is not live or too
   * short. Unless 0, nothing has been touched.
   */
  run(): number;
  /** Runs packets that lie end to end, up to the first that is refused; returns the result of the last one. */
  runAll(packets: Float64Array): number;
  close(): Promise<void>;
}

export const maxThreads = 256;

/** @throws ConfigError unless `threads` is a whole number from 1 to 256 */
export const checkThreads = (threads: number): void => {
  if (Number.isInteger(threads) && threads >= 1 && threads <= maxThreads) return;
  throw new ConfigError({
    where: "threads",
    must: `must be a whole number from 1 to ${maxThreads}`,
    got: show(threads),
  });
};

/**
 * Compares a compiled table with kernels.ts, so that a library from other sources is never called.
 *
 * @throws UnsupportedKernelError naming the first difference
 */
export const checkCompiledKernels = (name: BackendName, compiled: readonly CompiledKernel[]): void => {
  const describe = (k: CompiledKernel | undefined): string =>
    k === undefined ? "none" : `${k.name} (${k.buffers} buffers, ${k.ints} integers, ${k.floats} reals)`;
  const declared = kernelNames.map((kernel): CompiledKernel => {
    const { buffers, ints, floats } = kernelPlans[kernel];
    return { name: kernel, buffers: buffers.length, ints: ints.length, floats: floats.length };
  });
  for (let i = 0; i < Math.max(declared.length, compiled.length); i++) {
    const must = describe(declared[i]);
    const got = describe(compiled[i]);
    if (must === got) continue;
    throw new UnsupportedKernelError({
      where: `${name} backend`,
      must: `kernel ${i} must be ${must}`,
      got: `${got}, built from other sources`,
      hint: "npm run build",
    });
  }
};

interface CompiledStorage extends Storage {
  readonly owner: object;
  /** -1 once freed. */
  handle: number;
  /** Size of the block behind it, which may be larger than the used part. */
  readonly bytes: number;
}

/** As kOutOfMemory of native/dispatch.h. */
const outOfMemory = -2;

/** Most numbers in a packet, in the order of native/dispatch.h. */
export const packetLength = ({ buffers, ints, floats }: PacketLimits): number => 1 + 3 * buffers + ints + floats + 2;

/**
 * The backend `name` over `engine`, whose table has been compared with kernels.ts.
 * @param manyRows as in `BackendOptions`
 */
export const compiledBackend = (
  name: BackendName,
  engine: Engine,
  dtype: ProductDType = "float32",
  manyRows = false,
): Backend => {
  const identity = {};
  const cache = memoryCache(engine);
  const { packet, limits } = engine;
  const firstInt = 1 + 3 * limits.buffers;
  const firstFloat = firstInt + limits.ints;
  const length = packetLength(limits);
  const tiles = engine.tiles && (dtype === "bfloat16" || manyRows) ? dtype : null;
  packet[length - 2] = dtype === "bfloat16" ? 1 : tiles === null ? 0 : 2;
  let bytesInUse = 0;
  let closing: Promise<void> | undefined;
  let recording: Float64Array[] | undefined;

  const activations = dtype === "bfloat16" && engine.narrow ? "bfloat16" : "float32";

  const owner: StorageOwner = {
    name,
    real: "float32",
    activations,
    owns(storage) {
      const { owner: maker, handle } = (storage ?? {}) as Partial<CompiledStorage>;
      return maker === identity && handle !== -1 && closing === undefined;
    },
  };

  const alloc = (dtype: DType, length: number): Storage => {
    if (closing !== undefined)
      throw new ConfigError({ where: "alloc", must: `the ${name} backend must be open`, got: "a closed one" });
    checkAlloc(owner, dtype, length);
    const used = length * bytesPerElement[dtype];
    const bytes = blockBytes(used);
    const handle = cache.take(bytes);
    if (handle < 0) {
      throw new ConfigError({
        where: `${name} backend`,
        must: `memory must suffice for ${length} more elements (${bytes} bytes) beside ${bytesInUse} bytes in use`,
        hint: "a smaller batch, context or model",
      });
    }
    bytesInUse += used;
    const storage: CompiledStorage = { dtype, length, owner: identity, handle, bytes };
    return storage;
  };

  const free = (storage: Storage): void => {
    checkOwned(owner, "free", storage);
    const mine = storage as CompiledStorage;
    const { handle } = mine;
    mine.handle = -1;
    bytesInUse -= mine.length * bytesPerElement[mine.dtype];
    cache.giveBack(handle, mine.bytes);
  };

  // The engine checks again. If it refuses a call that passed the checks here, that is our own bug.
  const refused = (where: string): Error =>
    new Error(`${where}: the compiled ${name} backend refuses what was checked`);

  const write = (storage: Storage, data: HostData, offset = 0): void => {
    checkWrite(owner, storage, data, offset);
    const { dtype, handle } = storage as CompiledStorage;
    const given = dtype === "bfloat16" && !(data instanceof Uint16Array) ? toBfloat16(data) : data;
    if (!engine.write(handle, offset * bytesPerElement[dtype], given)) throw refused("write");
  };

  const read = async (storage: Storage, offset = 0, given?: number): Promise<HostArray> => {
    checkOwned(owner, "read", storage);
    const length = given === undefined ? storage.length - offset : given;
    checkRange(owner, "read", storage, offset, length);
    const { dtype, handle } = storage as CompiledStorage;
    const data = dtype === "bfloat16" ? new Uint16Array(length) : hostArray(dtype, length);
    if (!engine.read(handle, offset * bytesPerElement[dtype], data)) throw refused("read");
    return data instanceof Uint16Array ? fromBfloat16(data) : data;
  };

  const view = (storage: Storage): HostArray => {
    checkOwned(owner, "view", storage);
    const { dtype, length, handle } = storage as CompiledStorage;
    if (dtype !== "float32") throw new Error(`view: a storage of ${dtype} has none`);
    const memory = engine.view?.(handle, length * bytesPerElement[dtype]);
    if (memory === undefined) throw refused("view");
    return new Float32Array(memory);
  };

  const noScratch = (kernel: string): Error =>
    new ConfigError({
      where: `${name} backend`,
      must: `memory must suffice for what ${kernel} needs while it computes, beside ${bytesInUse} bytes in use`,
      hint: "a smaller batch, context or model",
    });

  const run = <K extends KernelName>(kernel: K, args: KernelArgs<K, View>): void => {
    const lengths = checkCall(owner, kernel, args);
    const { index, buffers, ints, floats } = kernelPlans[kernel];
    const given = args as Readonly<Record<string, unknown>>;
    packet[0] = index;
    let narrow = 0;
    let bit = 1;
    let at = 1;
    for (const [buffer] of buffers) {
      const view = given[buffer] as View | null | undefined;
      if (view === null || view === undefined) {
        packet[at] = -1;
      } else {
        packet[at] = (view.storage as CompiledStorage).handle;
        packet[at + 1] = view.offset;
        packet[at + 2] = lengths[buffer] as number;
        if (view.storage.dtype === "bfloat16") narrow += bit;
      }
      at += 3;
      bit *= 2;
    }
    at = firstInt;
    for (const int of ints) packet[at++] = given[int] as number;
    at = firstFloat;
    for (const float of floats) packet[at++] = given[float] as number;
    packet[length - 1] = narrow;
    if (recording !== undefined) {
      recording.push(packet.slice(0, length));
      return;
    }
    let outcome = engine.run();
    if (outcome === outOfMemory) {
      cache.releaseAll();
      outcome = engine.run();
    }
    if (outcome === 0) return;
    if (outcome === outOfMemory) throw noScratch(kernel);
    const buffer = buffers[outcome - 1]?.[0];
    throw buffer === undefined
      ? refused(kernel)
      : new ShapeError({ where: kernel, must: `${buffer} must lie in live memory of the ${name} backend` });
  };

  const record = (work: () => void): RecordedCalls => {
    const calls: Float64Array[] = [];
    const outer = recording;
    recording = calls;
    try {
      work();
    } finally {
      recording = outer;
    }
    const numbers = new Float64Array(calls.length * length);
    for (const [i, call] of calls.entries()) numbers.set(call, i * length);
    return { owner: identity, numbers };
  };

  const replay = ({ owner: maker, numbers }: RecordedCalls): void => {
    const outcome = maker === identity && closing === undefined ? engine.runAll(numbers) : 1;
    if (outcome === 0) return;
    if (outcome === outOfMemory) throw noScratch("a kernel");
    throw new ShapeError({
      where: "replay",
      must: `the calls must be of this ${name} backend, and their buffers live and long enough`,
    });
  };

  const close = (): Promise<void> => {
    closing ??= engine.close();
    bytesInUse = 0;
    return closing;
  };

  return {
    name,
    capabilities: {
      instructionSet: engine.instructionSet,
      threads: engine.threads,
      dtype,
      real: ["float32"],
      activations,
      tiles,
    },
    alloc,
    free,
    write,
    read,
    ...(engine.view === undefined ? {} : { view }),
    run,
    record,
    replay,
    bytesInUse: () => bytesInUse,
    isClosed: () => closing !== undefined,
    bytesHeld: () => (closing === undefined ? cache.held() : 0),
    close,
  };
};
