/** Lets timers, signals and input run before the caller continues. Kernels block the thread while they run. */
export const yieldToHost = (): Promise<void> =>
  new Promise((resolve) => {
    // setImmediate exists only in Node. In a browser setTimeout is used. setTimeout has a minimum delay but needs no
    // message channel.
    if (typeof globalThis.setImmediate === "function") globalThis.setImmediate(resolve);
    else setTimeout(resolve, 0);
  });

/** Maximum time in milliseconds without a turn for the host. Longer tasks make a page feel slow (Long Tasks API of the W3C). */
const mostBlocked = 50;

/** Turns that a loop gives to the host. The loop should give a turn when one is due. */
export interface HostTurns {
  /** Whether the last turn was more than 50 ms ago. */
  due(): boolean;
  give(): Promise<void>;
}

export const hostTurns = (): HostTurns => {
  let last = performance.now();
  return {
    due: () => performance.now() - last > mostBlocked,
    async give() {
      await yieldToHost();
      last = performance.now();
    },
  };
};
