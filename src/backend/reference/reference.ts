import { bytesPerElement, hostArray } from "../../core/dtype.ts";
import type { DType, HostArray, RealDType } from "../../core/dtype.ts";
import { DTypeError, ShapeError } from "../../core/errors.ts";
import type { Backend, Storage, View } from "../backend.ts";
import { kernels } from "../kernels.ts";
import type { KernelArgs, KernelName } from "../kernels.ts";
import { adam } from "./adam.ts";
import { attention } from "./attention.ts";
import { crossEntropy } from "./cross-entropy.ts";
import { dropout } from "./dropout.ts";
import { elementwise } from "./elementwise.ts";
import { embedding } from "./embedding.ts";
import { gelu } from "./gelu.ts";
import type { HostArgs, HostKernels } from "./host-args.ts";
import { layerNorm } from "./layer-norm.ts";
import { products } from "./products.ts";

const hostKernels: HostKernels<KernelName> = {
  ...elementwise,
  ...embedding,
  ...products,
  ...layerNorm,
  ...gelu,
  ...dropout,
  ...attention,
  ...crossEntropy,
  ...adam,
};

const dtypeOf = (data: HostArray): DType =>
  data instanceof Float32Array ? "float32" : data instanceof Float64Array ? "float64" : "int32";

const poison = (data: HostArray): HostArray => {
  if (data instanceof Int32Array) return data.fill(-(2 ** 31));
  return data.fill(Number.NaN);
};

export interface ReferenceOptions {
  /** The one real element type of this backend: float32 (the default), or float64 for gradient checks. */
  readonly real?: RealDType;
}

/**
 * Opens the reference backend: every kernel in plain TypeScript, the truth that the compiled ones are held against.
 * Arithmetic is in double whatever `real` is; results are rounded when stored. One thread, any machine, any browser.
 *
 * New storages hold NaN (the smallest integer for int32), so that a read of what was never written shows. Memory that
 * is freed is kept for the next storage of its type and length.
 */
export const openReference = async ({ real = "float32" }: ReferenceOptions = {}): Promise<Backend> => {
  const live = new Map<Storage, HostArray>();
  const spare = new Map<string, HostArray[]>();
  let bytes = 0;
  let closed = false;

  const sizeClass = (dtype: DType, length: number): string => `${dtype}:${length}`;

  const checkOpen = (where: string): void => {
    if (closed) throw new Error(`${where}: the reference backend is closed`);
  };

  const dataOf = (where: string, storage: Storage): HostArray => {
    checkOpen(where);
    const data = live.get(storage);
    if (data === undefined) throw new Error(`${where}: the storage was freed or belongs to another backend`);
    return data;
  };

  const checkRange = (where: string, storage: Storage, offset: number, length: number): void => {
    const fits = Number.isInteger(offset) && Number.isInteger(length) && offset >= 0 && length >= 0;
    if (fits && offset + length <= storage.length) return;
    throw new ShapeError({
      where,
      must: `elements must lie in a storage of ${storage.length}`,
      got: `${length} from ${offset}`,
    });
  };

  const alloc = (dtype: DType, length: number): Storage => {
    checkOpen("alloc");
    if (dtype !== real && dtype !== "int32") {
      throw new DTypeError({ where: "alloc", must: `the type must be ${real} or int32 on this backend`, got: dtype });
    }
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new ShapeError({ where: "alloc", must: "length must be a whole number, at least 0", got: String(length) });
    }
    const storage: Storage = Object.freeze({ dtype, length });
    live.set(storage, poison(spare.get(sizeClass(dtype, length))?.pop() ?? hostArray(dtype, length)));
    bytes += length * bytesPerElement[dtype];
    return storage;
  };

  const free = (storage: Storage): void => {
    const data = dataOf("free", storage);
    const { dtype, length } = storage;
    live.delete(storage);
    bytes -= length * bytesPerElement[dtype];
    const shelf = spare.get(sizeClass(dtype, length));
    if (shelf === undefined) spare.set(sizeClass(dtype, length), [data]);
    else shelf.push(data);
  };

  const write = (storage: Storage, data: HostArray, offset = 0): void => {
    const target = dataOf("write", storage);
    if (dtypeOf(data) !== storage.dtype) {
      throw new DTypeError({ where: "write", must: `the data must be ${storage.dtype}`, got: dtypeOf(data) });
    }
    checkRange("write", storage, offset, data.length);
    target.set(data, offset);
  };

  const read = async (storage: Storage, offset = 0, length = storage.length - offset): Promise<HostArray> => {
    const data = dataOf("read", storage);
    checkRange("read", storage, offset, length);
    return data.slice(offset, offset + length);
  };

  const run = <K extends KernelName>(kernel: K, args: KernelArgs<K, View>): void => {
    checkOpen(kernel);
    const given = args as Readonly<Record<string, View | number | null>>;
    const lengths = (kernels[kernel].lengths as unknown as (sizes: typeof given) => Record<string, number>)(given);
    const hostArgs: Record<string, HostArray | number | null> = {};
    for (const [name, value] of Object.entries(given)) {
      if (value === null || typeof value === "number") {
        hostArgs[name] = value;
        continue;
      }
      const where = `${kernel}: ${name}`;
      const length = lengths[name] as number;
      const data = dataOf(where, value.storage);
      checkRange(where, value.storage, value.offset, length);
      hostArgs[name] = data.subarray(value.offset, value.offset + length);
    }
    hostKernels[kernel](hostArgs as unknown as HostArgs<K>);
  };

  const close = async (): Promise<void> => {
    closed = true;
    live.clear();
    spare.clear();
    bytes = 0;
  };

  return {
    name: "reference",
    capabilities: { instructionSet: "javascript", threads: 1, real: [real] },
    alloc,
    free,
    write,
    read,
    run,
    bytesInUse: () => bytes,
    close,
  };
};
