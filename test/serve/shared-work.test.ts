import { expect, it } from "vitest";
import { createSharedWork } from "#foretoken/serve/http/shared-work.js";

/** Work that ends when a test ends it. */
const gate = () => {
  const begun: { readonly signal: AbortSignal; readonly end: (text: string) => void }[] = [];
  const work = (signal: AbortSignal): Promise<string> =>
    new Promise((resolve, reject) => {
      begun.push({ signal, end: resolve });
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  return { begun, work };
};

const never = new AbortController().signal;

it("is done once for all who ask for the same meanwhile, and anew for who asks later", async () => {
  const shared = createSharedWork<string>();
  const { begun, work } = gate();
  const both = Promise.all([shared.get("a", work, never), shared.get("a", work, never)]);
  const other = shared.get("b", work, never);
  expect(begun).toHaveLength(2);
  begun[0]?.end("one");
  begun[1]?.end("two");
  expect(await both).toEqual(["one", "one"]);
  expect(await other).toBe("two");
  const later = shared.get("a", work, never);
  begun[2]?.end("three");
  expect(await later).toBe("three");
  expect(begun.map(({ signal }) => signal.aborted)).toEqual([false, false, false]);
});

it("goes on while anybody waits, and ends with the last", async () => {
  const shared = createSharedWork<string>();
  const { begun, work } = gate();
  const [first, second] = [new AbortController(), new AbortController()];
  const gone = shared.get("a", work, first.signal);
  const waits = shared.get("a", work, second.signal);
  first.abort(new Error("left"));
  await expect(gone).rejects.toThrow("left");
  expect(begun[0]?.signal.aborted).toBe(false);
  second.abort(new Error("left too"));
  await expect(waits).rejects.toThrow("left too");
  expect(begun[0]?.signal.aborted).toBe(true);
  // The result of abandoned work is not reused.
  const anew = shared.get("a", work, never);
  begun[1]?.end("anew");
  expect(await anew).toBe("anew");
  await expect(shared.get("a", work, first.signal)).rejects.toThrow("left");
  expect(begun).toHaveLength(2);
});

it("hands a failure to all who wait", async () => {
  const shared = createSharedWork<string>();
  const fail = () => Promise.reject(new Error("broken"));
  const both = await Promise.allSettled([shared.get("a", fail, never), shared.get("a", fail, never)]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});
