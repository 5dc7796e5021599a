/**
 * Computes matrix products with a backend's kernel for linear layers. After the first product with a weight of the
 * file, the weight stays in the backend's memory.
 */
import type { Backend, Storage } from "../../../backend/backend.ts";
import type { RealArray, RealDType } from "../../../core/tensors/dtype.ts";

/** A matrix w [n, k]. */
export interface Matrix {
  readonly w: RealArray;
  readonly n: number;
  readonly k: number;
}

/** A matrix [n, k] in a backend's memory. */
export interface Factor {
  readonly storage: Storage;
  readonly n: number;
  readonly k: number;
}

/** Computes matrix products on a backend. */
export interface Products {
  readonly real: RealDType;
  /** Computes x [m, k] · wᵀ [k, n] for a matrix w [n, k] that is used only once. */
  readonly once: (x: RealArray, w: RealArray, m: number, n: number, k: number) => Promise<RealArray>;
  /** Returns the factors with this name. The factors are made at the first call, then kept in the backend's memory. */
  readonly keep: (name: string, make: () => Promise<readonly Matrix[]>) => Promise<readonly Factor[]>;
  /** Computes x [m, k] · wᵀ for a kept factor w. */
  readonly times: (x: RealArray, factor: Factor, m: number) => Promise<RealArray>;
  /** Frees the kept factors. */
  readonly close: () => void;
}

/** @param backend must stay open while products are computed. */
export const productsOn = (backend: Backend): Products => {
  const real = backend.capabilities.real.includes("float32") ? "float32" : "float64";
  const kept = new Map<string, readonly Factor[]>();
  const upload = (values: RealArray): Storage => {
    const storage = backend.alloc(real, values.length);
    backend.write(storage, values);
    return storage;
  };
  const times = async (values: RealArray, { storage, n, k }: Factor, m: number): Promise<RealArray> => {
    const x = upload(values);
    const y = backend.alloc(real, m * n);
    try {
      const views = { x, w: storage, y };
      const [ofX, ofW, ofY] = Object.values(views).map((of) => ({ storage: of, offset: 0 })) as [never, never, never];
      backend.run("linearForward", { x: ofX, w: ofW, bias: null, addend: null, y: ofY, ...{ m, n, k } });
      return (await backend.read(y)) as RealArray;
    } finally {
      backend.free(x);
      backend.free(y);
    }
  };
  return {
    real,
    async once(x, w, m, n, k) {
      if (m * n * k === 0) return real === "float32" ? new Float32Array(m * n) : new Float64Array(m * n);
      const storage = upload(w);
      try {
        return await times(x, { storage, n, k }, m);
      } finally {
        backend.free(storage);
      }
    },
    async keep(name, make) {
      const found = kept.get(name);
      if (found !== undefined) return found;
      const factors = (await make()).map(({ w, n, k }) => ({ storage: upload(w), n, k }));
      kept.set(name, factors);
      return factors;
    },
    times,
    close() {
      for (const { storage } of [...kept.values()].flat()) backend.free(storage);
      kept.clear();
    },
  };
};
