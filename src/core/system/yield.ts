/** Lets timers, signals and input be handled before it continues: kernels block the thread while they run. */
export const yieldToHost = (): Promise<void> =>
  new Promise((resolve) => {
    // setImmediate exists in Node only; a browser's setTimeout has a minimum delay but needs no message channel.
    if (typeof globalThis.setImmediate === "function") globalThis.setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
