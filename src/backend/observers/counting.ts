import { bytesPerElement, type DType, hostArray } from "../../core/tensors/dtype.ts";
import type { Backend, BackendName, Capabilities, Storage } from "../backend.ts";
import { kernelScratch } from "../calls/scratch.ts";
import { linearHeap } from "../memory/linear-heap.ts";
import { blockBytes, memoryCache } from "../memory/memory-cache.ts";

/** Properties of a backend that determine how much memory an operation needs. */
export interface MemoryKind extends Pick<Capabilities, "activations" | "tiles"> {
  /** Default "native". */
  readonly name?: BackendName;
  /** Default 1. */
  readonly threads?: number;
}

/** A backend that computes nothing and has no memory; it only counts allocations. */
export interface CountingBackend extends Backend {
  /** Defined as on compiled backends (backend.ts). */
  bytesHeld(): number;
  /** Maximum number of bytes in storages that are live at the same time. */
  peakBytes(): number;
  /**
   * Maximum number of bytes that the process would have held. The number includes freed memory that the backend keeps.
   * The system provides memory only when it is first written. A block therefore counts only up to the last byte that
   * its storages have used.
   */
  peakTouched(): number;
  /** Bytes of the kernels' scratch memory. Scratch memory is not freed. */
  scratchBytes(): number;
}

interface CountedStorage extends Storage {
  readonly handle: number;
}

/** Blocks by handle, and the number of bytes written to each block. */
interface TouchedBlocks {
  allocate(bytes: number): number;
  release(handle: number): void;
  touch(handle: number, bytes: number): void;
  touched(): number;
}

/**
 * Blocks of at least this size in bytes come directly from the system. The C library returns such a block to the system
 * when the block is freed.
 */
const ownBlockFrom = 2 ** 25;

interface CountedBlock {
  readonly bytes: number;
  /** Address in the heap; null for a block directly from the system. */
  readonly address: number | null;
  /** Number of bytes written to a block that comes directly from the system. */
  touched: number;
}

/**
 * Blocks in simulated memory. Freed blocks leave holes. A later block fills a hole if the block fits. WebAssembly's
 * memory never shrinks. A C library's heap hardly ever shrinks, because a block above a hole is usually still in use.
 */
const countedBlocks = (isWasm: boolean): TouchedBlocks => {
  const heap = linearHeap();
  const blocks: CountedBlock[] = [];
  let own = 0;
  return {
    allocate(bytes) {
      const address = isWasm || bytes < ownBlockFrom ? heap.allocate(bytes) : null;
      return blocks.push({ bytes, address, touched: 0 }) - 1;
    },
    release(handle) {
      const block = blocks[handle];
      if (block === undefined) return;
      if (block.address !== null) heap.release(block.address, block.bytes);
      own -= block.touched;
      block.touched = 0;
    },
    touch(handle, bytes) {
      const block = blocks[handle];
      if (block === undefined) return;
      if (block.address !== null) heap.touch(block.address, bytes);
      else if (bytes > block.touched) {
        own += bytes - block.touched;
        block.touched = bytes;
      }
    },
    touched: () => heap.touched() + own,
  };
};

/**
 * Opens a counting backend. A counting backend allocates and frees memory like a compiled backend, but computes
 * nothing. It therefore quickly finds how much memory an operation needs. Reads return zeros, so the operation must not
 * depend on values.
 * @param kind properties of the backend that it imitates.
 */
export const openCounting = (kind: MemoryKind = { activations: "float32", tiles: null }): CountingBackend => {
  const { activations, tiles, name = "native", threads = 1 } = kind;
  let closed = false;
  let bytes = 0;
  let peak = 0;
  let peakTouched = 0;
  let perThread = 0;
  let shared = 0;
  /** Number of branches of calls. Each branch has its own scratch memory. */
  let sharedBy = 1;
  const blocks = countedBlocks(name === "wasm");
  const cache = memoryCache(blocks);
  const sizeOf = ({ dtype, length }: Storage): number => length * bytesPerElement[dtype];
  return {
    name: "reference",
    capabilities: { instructionSet: "none", threads, dtype: "float32", real: ["float32"], activations, tiles },
    alloc(dtype: DType, length: number) {
      const size = length * bytesPerElement[dtype];
      const handle = cache.take(blockBytes(size));
      blocks.touch(handle, size);
      bytes += size;
      peak = Math.max(peak, bytes);
      peakTouched = Math.max(peakTouched, blocks.touched());
      const storage: CountedStorage = { dtype, length, handle };
      return storage;
    },
    free(storage, keepsMemory) {
      const size = sizeOf(storage);
      bytes -= size;
      cache.giveBack((storage as CountedStorage).handle, blockBytes(size), keepsMemory);
    },
    write() {},
    async read({ dtype, length: all }, offset = 0, length = all - offset) {
      return hostArray(dtype, length);
    },
    run(kernel, args) {
      const scratch = kernelScratch(kernel, args, tiles);
      perThread = Math.max(perThread, scratch.perThread);
      shared = Math.max(shared, scratch.shared);
    },
    // The work runs at once, because recorded calls need the same memory as direct calls.
    record(work) {
      work();
      return { owner: cache, numbers: new Float64Array(0) };
    },
    replay() {},
    moved: (calls) => calls,
    replayBeside({ threads: ofEach }) {
      sharedBy = Math.max(sharedBy, Math.floor(threads / ofEach));
    },
    bytesInUse: () => bytes,
    bytesHeld: cache.held,
    peakBytes: () => peak,
    peakTouched: () => peakTouched,
    scratchBytes: () => threads * perThread + sharedBy * shared,
    isClosed: () => closed,
    async close() {
      closed = true;
    },
  };
};
