/**
 * Shares the result of running work between all callers that ask for this result, and stops the work when no caller
 * waits any more.
 */

export interface SharedWork<T> {
  /**
   * The result of the work that already runs for `key`. If no work runs, it starts `work`.
   * @param work gets a signal that is aborted when no caller waits any more.
   * @throws the reason of `signal` if it is aborted first.
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
      // After an abort, new work may already run under the same key.
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
