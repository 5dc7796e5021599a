/** Several sources of events as one. */

type Source<T> = (signal: AbortSignal) => AsyncGenerator<T, void, undefined>;

/**
 * Yields what the sources yield, as it comes. Each is asked for its next value when that before it was taken. Ends when the
 * first source ends, or one fails; then the signal of the others is aborted.
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
  // A failure is thrown where it is waited for; those of the others, after the end, are nobody's.
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
