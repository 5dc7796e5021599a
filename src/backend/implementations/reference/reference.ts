import { ConfigError } from "../../../core/errors/errors.ts";
import type { DType, HostArray, HostData, ProductDType, RealDType } from "../../../core/tensors/dtype.ts";
import { bytesPerElement, hostArray } from "../../../core/tensors/dtype.ts";
import type { Backend, Storage, View } from "../../backend.ts";
import type { StorageOwner } from "../../calls/check.ts";
import {
  checkAlloc,
  checkCall,
  checkOwned,
  checkRange,
  checkWrite,
  closedBackend,
  kernelPlans,
} from "../../calls/check.ts";
import type { KernelArgs, KernelName } from "../../kernels/kernels.ts";
import { adam } from "./adam.ts";
import { attention } from "./attention.ts";
import { blocks } from "./blocks.ts";
import { crossEntropy } from "./cross-entropy.ts";
import { dropout } from "./dropout.ts";
import { elementwise } from "./elementwise.ts";
import { embedding } from "./embedding.ts";
import { geglu } from "./geglu.ts";
import { gelu } from "./gelu.ts";
import { asGiven, type HostArgs, type HostKernels, type Operand, roundedToBfloat16 } from "./host-args.ts";
import { layerNorm } from "./layer-norm.ts";
import { products } from "./products.ts";
import { relu2 } from "./relu2.ts";
import { rmsNorm } from "./rms-norm.ts";
import { rotary } from "./rotary.ts";
import { swiglu } from "./swiglu.ts";

const hostKernels: HostKernels<KernelName> = {
  ...elementwise,
  ...dropout,
  ...embedding,
  ...products,
  ...layerNorm,
  ...rmsNorm,
  ...rotary,
  ...gelu,
  ...swiglu,
  ...geglu,
  ...relu2,
  ...attention,
  ...crossEntropy,
  ...adam,
  ...blocks,
};

const poison = (data: HostArray): HostArray => {
  if (data instanceof Int32Array) return data.fill(-(2 ** 31));
  return data.fill(Number.NaN);
};

export interface ReferenceOptions {
  /** The only real element type of this backend. The type is float32 (the default), or float64 for gradient checks. */
  readonly real?: RealDType;
  /** How the operands of products are rounded: not at all (float32, the default), or to bfloat16. */
  readonly dtype?: ProductDType;
}

/**
 * Opens the reference backend. This backend runs every kernel in plain TypeScript on one thread, on any machine. Tests
 * compare the compiled kernels with it. Arithmetic is always in double precision, and results are rounded to `real`
 * when they are stored. New storages contain NaN (int32: the smallest integer), so that tests notice if a kernel reads
 * unwritten elements. Freed memory is kept for the next storage of the same type and length.
 */
export const openReference = async ({
  real = "float32",
  dtype = "float32",
}: ReferenceOptions = {}): Promise<Backend> => {
  const live = new Map<Storage, HostArray>();
  const spare = new Map<string, HostArray[]>();
  let bytes = 0;
  let closed = false;
  const owner: StorageOwner = {
    ...{ name: "reference", real, activations: real },
    owns: (storage) => live.has(storage),
    isClosed: () => closed,
  };

  const operand: Operand = dtype === "bfloat16" ? roundedToBfloat16 : asGiven;

  const dataOf = (storage: Storage): HostArray => live.get(storage) as HostArray;
  const sizeClass = (dtype: DType, length: number): string => `${dtype}:${length}`;

  const newArray = (dtype: DType, length: number): HostArray => {
    try {
      return hostArray(dtype, length);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw new ConfigError({
        where: "reference backend",
        must: `memory must suffice for ${length} more elements, in addition to ${bytes} bytes in use`,
        hint: "a smaller batch, context or model",
        cause,
      });
    }
  };

  const alloc = (dtype: DType, length: number): Storage => {
    if (closed) throw closedBackend("alloc", owner);
    checkAlloc(owner, dtype, length);
    const storage: Storage = Object.freeze({ dtype, length });
    live.set(storage, poison(spare.get(sizeClass(dtype, length))?.pop() ?? newArray(dtype, length)));
    bytes += length * bytesPerElement[dtype];
    return storage;
  };

  const free = (storage: Storage): void => {
    checkOwned(owner, "free", storage);
    const { dtype, length } = storage;
    const shelf = spare.get(sizeClass(dtype, length));
    if (shelf === undefined) spare.set(sizeClass(dtype, length), [dataOf(storage)]);
    else shelf.push(dataOf(storage));
    live.delete(storage);
    bytes -= length * bytesPerElement[dtype];
  };

  const write = (storage: Storage, data: HostData, offset = 0): void => {
    checkWrite(owner, storage, data, offset);
    dataOf(storage).set(data, offset);
  };

  const read = async (storage: Storage, offset = 0, given?: number): Promise<HostArray> => {
    checkOwned(owner, "read", storage);
    const length = given === undefined ? storage.length - offset : given;
    checkRange(owner, "read", storage, offset, length);
    return dataOf(storage).slice(offset, offset + length);
  };

  const run = <K extends KernelName>(kernel: K, args: KernelArgs<K, View>): void => {
    const lengths = checkCall(owner, kernel, args);
    const given = args as Readonly<Record<string, unknown>>;
    const hostArgs: Record<string, unknown> = { ...given, operand };
    for (const [name] of kernelPlans[kernel].buffers) {
      const view = given[name] as View | null | undefined;
      hostArgs[name] = view
        ? dataOf(view.storage).subarray(view.offset, view.offset + (lengths[name] as number))
        : null;
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
    capabilities: { instructionSet: "javascript", threads: 1, dtype, real: [real], activations: real, tiles: null },
    alloc,
    free,
    write,
    read,
    run,
    bytesInUse: () => bytes,
    isClosed: () => closed,
    close,
  };
};
