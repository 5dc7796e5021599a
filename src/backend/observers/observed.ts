import type { Backend, View } from "../backend.ts";
import type { KernelArgs, KernelName } from "../kernels/kernels.ts";

/**
 * Called after a kernel has run.
 * @param inner the wrapped backend. Kernels that run directly on `inner` do not call the observer.
 */
export type Observer = <K extends KernelName>(kernel: K, args: KernelArgs<K, View>, inner: Backend) => void;

/** A backend that reports its kernel calls to an observer. */
export interface ObservedBackend extends Backend {
  /** Calls `work`, and calls `observer` after each kernel that runs during `work`. */
  observe<T>(observer: Observer, work: () => Promise<T>): Promise<T>;
}

/** Wraps `inner` so that its kernel calls can be observed. Closing `inner` or the wrapper closes both. */
export const observed = (inner: Backend): ObservedBackend => {
  let current: Observer | undefined;
  return {
    ...inner,
    run(kernel, args) {
      inner.run(kernel, args);
      current?.(kernel, args, inner);
    },
    async observe(observer, work) {
      current = observer;
      try {
        return await work();
      } finally {
        current = undefined;
      }
    },
  };
};
