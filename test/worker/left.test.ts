/** A run that is stopped before its first event, while its thread is busy. */
import { expect, it } from "vitest";
import type { WorkerThread } from "#foretoken/core/remote/pool.js";
import { trainIn } from "#foretoken/worker/train.js";

/** A thread that sends its first event when the test requests it. */
const busyThread = () => {
  const seen: string[] = [];
  let begin = (): void => {};
  const reading = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const thread: WorkerThread = {
    async *call() {
      await reading;
      try {
        yield { type: "start" };
      } finally {
        seen.push("ended");
      }
    },
    isAlive: () => true,
    leave: () => seen.push("left"),
    release: () => seen.push("released"),
  };
  return { thread, seen, begin };
};

it("is left at once, and the thread is released when it has ended", async () => {
  const { thread, seen, begin } = busyThread();
  const controller = new AbortController();
  const first = trainIn(thread, {}, { signal: controller.signal }).next();
  controller.abort();
  await expect(first).rejects.toThrow(/abort/iu);
  expect(seen).toEqual(["left"]);
  begin();
  await expect.poll(() => seen).toEqual(["left", "ended", "released"]);
});

it("is waited for where it has a lock, or other ranks", async () => {
  const { thread, seen, begin } = busyThread();
  const controller = new AbortController();
  const events = trainIn(thread, {}, { signal: controller.signal }, false);
  const first = events.next();
  controller.abort();
  begin();
  expect((await first).value).toEqual({ type: "start" });
  await events.return();
  expect(seen).toEqual(["ended", "released"]);
});
