/** Lets timers, signals and input run before the caller continues. Kernels block the thread while they run. */
export const yieldToHost = (): Promise<void> =>
  new Promise((resolve) => {
    // setImmediate exists only in Node. In a browser setTimeout is used. setTimeout has a minimum delay but needs no
    // message channel.
    if (typeof globalThis.setImmediate === "function") globalThis.setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
