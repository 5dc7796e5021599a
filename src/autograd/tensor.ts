import type { Backend, Storage, View } from "../backend/backend.ts";
import { checkBackend, checkTensor } from "../core/checks/check-arguments.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { type DType, type HostArray, hostArray, type RealDType } from "../core/tensors/dtype.ts";
import { formatShape, type Shape, sizeOf } from "../core/tensors/shape.ts";

/**
 * Some rows of a quantized matrix, stored as panels of 32-bit words.
 * @experimental
 */
export interface BlockPart extends View {
  /** Index of the block format in src/backend/kernels/block-forms.ts. */
  readonly form: number;
  /** Index in the matrix of the part's first row. */
  readonly first: number;
  /** Number of rows in the part. */
  readonly rows: number;
}

/**
 * A dense row-major array in a backend's memory. The tensor does not own its storage and does not free it.
 * @experimental
 */
export interface Tensor extends View {
  /** Sizes of the axes. The last axis is contiguous. */
  readonly shape: Shape;
  /**
   * Parts of a quantized matrix, in order. If they are given, `storage` and `offset` of the tensor belong to the first
   * part.
   */
  readonly blocks?: readonly BlockPart[] | undefined;
}

/** Returns the part of `tensor` that begins at element `skip` and has the shape `shape`. Nothing is copied. */
export const slice = (tensor: Tensor, skip: number, shape: Shape): Tensor => {
  if (skip < 0 || skip + sizeOf(shape) > sizeOf(tensor.shape)) {
    throw new ShapeError({
      where: "slice",
      must: "the part must lie within the tensor",
      got: `${formatShape(shape)} from element ${skip} of ${formatShape(tensor.shape)}`,
    });
  }
  return { storage: tensor.storage, offset: tensor.offset + skip, shape };
};

/** Returns the same elements with another shape of the same size. Nothing is copied. */
export const reshape = (tensor: Tensor, shape: Shape): Tensor => {
  if (sizeOf(shape) !== sizeOf(tensor.shape)) {
    throw new ShapeError({
      where: "reshape",
      must: "the number of elements must stay the same",
      got: `${formatShape(tensor.shape)} to ${formatShape(shape)}`,
    });
  }
  return { storage: tensor.storage, offset: tensor.offset, shape };
};

/**
 * Waits for all earlier work on the tensor, then copies its elements to the host.
 * @experimental
 */
export const readTensor = async (backend: Backend, tensor: Tensor): Promise<HostArray> => {
  checkBackend("readTensor: backend", backend);
  checkTensor("readTensor: tensor", tensor);
  return backend.read(tensor.storage, tensor.offset, sizeOf(tensor.shape));
};

/** Converts host data to the tensor's element type and copies the data to the start of the tensor's storage. */
export const writeTensor = (backend: Backend, { storage }: Tensor, data: HostArray): void => {
  const { dtype } = storage;
  if (hostArray(dtype, 0).constructor === data.constructor) backend.write(storage, data);
  else {
    const converted = hostArray(dtype, data.length);
    converted.set(data);
    backend.write(storage, converted);
  }
};

/**
 * Waits for all earlier work on a tensor of one element, such as a loss, then reads its value.
 * @experimental
 */
export const readScalar = async (backend: Backend, tensor: Tensor): Promise<number> => {
  checkTensor("readScalar: tensor", tensor);
  return (await readTensor(backend, reshape(tensor, [1])))[0] as number;
};

/**
 * Memory for the temporary tensors of one training step or forward pass. Storages are reference counted. The backend
 * therefore gets an activation's memory back as soon as the backward pass has used the activation. `close` frees all
 * remaining storages. `retain` and `release` ignore tensors that were not allocated here, such as parameters.
 * @experimental
 */
export interface Memory {
  /** Allocates a tensor with one reference. The contents are undefined. The default element type is the real type. */
  allocate(shape: Shape, dtype?: DType): Tensor;
  /** Copies host data into a new tensor. */
  upload(data: HostArray, shape: Shape): Tensor;
  /** Adds a reference to a temporary tensor. For any other tensor, it does nothing. Returns the tensor. */
  retain(tensor: Tensor): Tensor;
  /** Removes a reference. Removing the last reference frees the storage. */
  release(tensor: Tensor): void;
  /** Whether exactly one reference exists, so that the tensor may be overwritten. */
  exclusive(tensor: Tensor): boolean;
  /** Frees all remaining storages. */
  close(): void;
}

/** Creates memory for temporary tensors on `backend`. `real` is the default type of `allocate`. */
export const createMemory = (backend: Backend, real: RealDType): Memory => {
  const references = new Map<Storage, number>();
  const allocate = (shape: Shape, dtype: DType = real): Tensor => {
    const storage = backend.alloc(dtype, sizeOf(shape));
    references.set(storage, 1);
    return { storage, offset: 0, shape };
  };
  return {
    allocate,
    upload(data, shape) {
      const tensor = allocate(shape, data instanceof Int32Array ? "int32" : real);
      writeTensor(backend, tensor, data);
      return tensor;
    },
    retain(tensor) {
      const count = references.get(tensor.storage);
      if (count !== undefined) references.set(tensor.storage, count + 1);
      return tensor;
    },
    release(tensor) {
      const count = references.get(tensor.storage);
      if (count === undefined) return;
      if (count > 1) references.set(tensor.storage, count - 1);
      else {
        references.delete(tensor.storage);
        backend.free(tensor.storage);
      }
    },
    exclusive: (tensor) => references.get(tensor.storage) === 1,
    close() {
      for (const storage of references.keys()) backend.free(storage);
      references.clear();
    },
  };
};
