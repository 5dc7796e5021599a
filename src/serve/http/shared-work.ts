/**
 * Shares the result of unfinished work between all callers that need this result. Stops the work when no caller waits
 * any more.
 */

export interface SharedWork<T> {
  /**
   * Returns the result of the unfinished work for `key`. If there is no such work, starts `work`.
   * @param work gets a signal that is aborted when no caller waits any more.
   * @throws the reason of `signal` if `signal` is aborted first.
   */
  get(key: string, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T>;
}

interface UnderWay<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiting: number;
}

export const createSharedWork = <T>(): SharedWork<T> => {
  const underWay = new Map<string, UnderWay<T>>();
  const begin = (key: string, work: (signal: AbortSignal) => Promise<T>): UnderWay<T> => {
    const controller = new AbortController();
    const one: UnderWay<T> = { result: work(controller.signal), controller, waiting: 0 };
    const end = (): void => {
      // After an abort, new work with the same key may already have started.
      if (underWay.get(key) === one) underWay.delete(key);
    };
    one.result.then(end, end);
    underWay.set(key, one);
    return one;
  };
  return {
    async get(key, work, signal) {
      signal.throwIfAborted();
      const one = underWay.get(key) ?? begin(key, work);
      one.waiting++;
      let stop = (): void => {};
      const stopped = new Promise<never>((_, reject) => {
        stop = () => reject(signal.reason);
        signal.addEventListener("abort", stop);
      });
      try {
        return await Promise.race([one.result, stopped]);
      } finally {
        signal.removeEventListener("abort", stop);
        one.waiting--;
        if (one.waiting === 0 && underWay.get(key) === one) {
          underWay.delete(key);
          one.controller.abort(signal.reason);
        }
      }
    },
  };
};
