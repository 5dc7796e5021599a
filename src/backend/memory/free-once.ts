import type { Backend } from "../backend.ts";

/**
 * Wraps `free` so that it runs at most once. `free` does not run if the backend was closed, because closing frees
 * everything.
 */
export const freeOnce = (backend: Pick<Backend, "isClosed">, free: () => void): (() => void) => {
  let isFree = false;
  return () => {
    if (isFree || backend.isClosed()) return;
    isFree = true;
    free();
  };
};
