/** Merges the events of several workers into one sequence. */
export interface EventQueue<Event> {
  readonly push: (event: Event) => void;
  /** Yields events until `work` has ended; an error of `work` is thrown after all events. */
  readonly until: (work: Promise<unknown>) => AsyncGenerator<Event, void, undefined>;
}

export const eventQueue = <Event>(): EventQueue<Event> => {
  const waiting: Event[] = [];
  let wake = (): void => {};
  return {
    push(event) {
      waiting.push(event);
      wake();
    },
    async *until(work) {
      let ended = false;
      const settled = work.then(
        () => ({ error: undefined }),
        (error: unknown) => ({ error }),
      );
      void settled.then(() => {
        ended = true;
        wake();
      });
      while (!ended || waiting.length > 0) {
        for (let event = waiting.shift(); event !== undefined; event = waiting.shift()) yield event;
        if (ended) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (waiting.length > 0) resolve();
        });
      }
      const { error } = await settled;
      if (error !== undefined) throw error;
    },
  };
};

/**
 * Runs `work` for each item in order, `jobs` items at a time. After an error, no further item is started. @throws the
 * first error
 */
export const inJobs = async <Item>(
  jobs: number,
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> => {
  const waiting = [...items];
  let failed = false;
  const one = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined && !failed; item = waiting.shift()) {
      try {
        await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const all = await Promise.allSettled(Array.from({ length: Math.min(jobs, items.length) }, one));
  for (const outcome of all) if (outcome.status === "rejected") throw outcome.reason;
};
