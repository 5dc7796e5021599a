/** Merges several sources of events. */

type Source<T> = (signal: AbortSignal) => AsyncGenerator<T, void, undefined>;

/**
 * Yields the values of all sources as they come. When the consumer has taken a value, its source gets the request for
 * the next value. The function ends when the source at index 0 ends, or when any source fails. At its end, the function
 * aborts the signal of the other sources.
 */
export async function* merged<T>(
  sources: readonly Source<T>[],
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  const open = sources.map((source) => source(controller.signal));
  const ask = async (index: number) => ({ index, next: await (open[index] as (typeof open)[number]).next() });
  const pending = new Map(open.map((_, index) => [index, ask(index)] as const));
  // A rejection is thrown where its promise is awaited. If no code awaits the promise any more, the rejection is
  // ignored.
  const guard = (one: Promise<unknown> | undefined): void => void one?.catch(() => undefined);
  try {
    for (const one of pending.values()) guard(one);
    for (;;) {
      const { index, next } = await Promise.race(pending.values());
      if (next.done === true) {
        if (index === 0) return;
        pending.delete(index);
        continue;
      }
      yield next.value;
      pending.set(index, ask(index));
      guard(pending.get(index));
    }
  } finally {
    signal.removeEventListener("abort", abort);
    abort();
    await Promise.all(open.map((one) => one.return().catch(() => undefined)));
  }
}
