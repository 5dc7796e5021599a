/** Memory of a compiled backend: storages in blocks of the engine. Freed blocks are reused. */
import { ConfigError } from "../../../core/errors/errors.ts";
import type { DType, HostArray, HostData } from "../../../core/tensors/dtype.ts";
import { bytesPerElement, fromBfloat16, hostArray, toBfloat16 } from "../../../core/tensors/dtype.ts";
import type { Storage } from "../../backend.ts";
import { checkAlloc, checkOwned, checkRange, checkWrite, closedBackend, type StorageOwner } from "../../calls/check.ts";
import { blockBytes, memoryCache } from "../../memory/memory-cache.ts";
import type { Engine } from "./engine.ts";

export interface CompiledStorage extends Storage {
  readonly owner: object;
  /** -1 once freed. */
  handle: number;
  /** Size of the storage's block. The block may be larger than the storage. */
  readonly bytes: number;
}

/** Storages of one backend. The functions from `alloc` to `view` work as in `Backend`. */
export interface CompiledStorages {
  /** The owner that the checks of calls receive. The owner also marks the storages that belong to this backend. */
  readonly owner: StorageOwner;
  alloc(dtype: DType, length: number, gradually?: boolean): Storage;
  free(storage: Storage, keepsMemory?: boolean): void;
  write(storage: Storage, data: HostData, offset?: number): void;
  read(storage: Storage, offset?: number, length?: number): Promise<HostArray>;
  view(storage: Storage): HostArray;
  bytesInUse(): number;
  bytesHeld(): number;
  /** Returns freed blocks to the engine. */
  releaseSpare(): void;
  isClosed(): boolean;
  /** Marks every storage as freed. The engine frees the blocks when it closes. */
  close(): void;
}

/**
 * Error for a call that passed all checks in TypeScript, but that the engine refused. Such an error is a bug in
 * Foretoken.
 */
export const refusedByEngine = (name: string, where: string): Error =>
  new Error(`${where}: the compiled ${name} backend refused a call that had passed all checks`);

/** Creates an empty set of storages for a backend with this name and activation type. */
export const compiledStorages = (
  { name, activations }: Pick<StorageOwner, "name" | "activations">,
  engine: Engine,
): CompiledStorages => {
  const cache = memoryCache(engine);
  let bytesInUse = 0;
  let closed = false;

  const owner: StorageOwner = {
    name,
    real: "float32",
    activations,
    owns(storage) {
      const { owner: maker, handle } = (storage ?? {}) as Partial<CompiledStorage>;
      return maker === owner && handle !== -1 && !closed;
    },
    isClosed: () => closed,
  };

  return {
    owner,
    alloc(dtype, length, gradually) {
      if (closed) throw closedBackend("alloc", owner);
      checkAlloc(owner, dtype, length);
      const used = length * bytesPerElement[dtype];
      const bytes = blockBytes(used);
      const handle = cache.take(bytes, gradually);
      if (handle < 0) {
        throw new ConfigError({
          where: `${name} backend`,
          must: `memory must suffice for ${length} more elements (${bytes} bytes), in addition to ${bytesInUse} bytes in use`,
          hint: "a smaller batch, context or model",
        });
      }
      bytesInUse += used;
      const storage: CompiledStorage = { dtype, length, owner, handle, bytes };
      return storage;
    },
    free(storage, keepsMemory) {
      checkOwned(owner, "free", storage);
      const mine = storage as CompiledStorage;
      const { handle } = mine;
      mine.handle = -1;
      bytesInUse -= mine.length * bytesPerElement[mine.dtype];
      cache.giveBack(handle, mine.bytes, keepsMemory);
    },
    write(storage, data, offset = 0) {
      checkWrite(owner, storage, data, offset);
      const { dtype, handle } = storage as CompiledStorage;
      const given = dtype === "bfloat16" && !(data instanceof Uint16Array) ? toBfloat16(data) : data;
      if (!engine.write(handle, offset * bytesPerElement[dtype], given)) throw refusedByEngine(name, "write");
    },
    async read(storage, offset = 0, given) {
      checkOwned(owner, "read", storage);
      const length = given === undefined ? storage.length - offset : given;
      checkRange(owner, "read", storage, offset, length);
      const { dtype, handle } = storage as CompiledStorage;
      const data = dtype === "bfloat16" ? new Uint16Array(length) : hostArray(dtype, length);
      if (!engine.read(handle, offset * bytesPerElement[dtype], data)) throw refusedByEngine(name, "read");
      return data instanceof Uint16Array ? fromBfloat16(data) : data;
    },
    view(storage) {
      checkOwned(owner, "view", storage);
      const { dtype, length, handle } = storage as CompiledStorage;
      if (dtype !== "float32") throw new Error(`view: a storage of ${dtype} has no view`);
      const memory = engine.view?.(handle, length * bytesPerElement[dtype]);
      if (memory === undefined) throw refusedByEngine(name, "view");
      return new Float32Array(memory);
    },
    bytesInUse: () => bytesInUse,
    bytesHeld: () => (closed ? 0 : cache.held()),
    releaseSpare: cache.releaseAll,
    isClosed: () => closed,
    close() {
      closed = true;
      bytesInUse = 0;
    },
  };
};
