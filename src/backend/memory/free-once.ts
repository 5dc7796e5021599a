import type { Backend } from "../backend.ts";

/** `free`, to be called once: a second call does nothing, and neither does one after the backend is closed, which has freed all. */
export const freeOnce = (backend: Pick<Backend, "isClosed">, free: () => void): (() => void) => {
  let isFree = false;
  return () => {
    if (isFree || backend.isClosed()) return;
    isFree = true;
    free();
  };
};
