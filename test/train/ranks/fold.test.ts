import { expect, it } from "vitest";
import { type Exchange, foldOverRanks, gatherOverRanks } from "#foretoken/train/ranks/fold.js";

/** Exchanges messages between ranks in one process. A message waits until a rank receives it. */
const exchanges = (size: number): readonly Exchange[] => {
  const waiting = new Map<string, { readonly sent: Float64Array; readonly take: (message: Float64Array) => void }>();
  return Array.from(
    { length: size },
    (_, rank): Exchange =>
      (partner, sent, received) => {
        const other = waiting.get(`${partner}>${rank}`);
        if (other !== undefined) {
          waiting.delete(`${partner}>${rank}`);
          received.set(other.sent);
          other.take(sent);
          return Promise.resolve();
        }
        return new Promise((resolve) => {
          const take = (message: Float64Array): void => {
            received.set(message);
            resolve();
          };
          waiting.set(`${rank}>${partner}`, { sent: sent.slice(), take });
        });
      },
  );
};

it("folds numbers in the order of the ranks", async () => {
  const size = 8;
  const between = exchanges(size);
  const join = (one: Float64Array, other: Float64Array): Float64Array =>
    Float64Array.of((one[0] ?? 0) * 10 ** (other[1] ?? 0) + (other[0] ?? 0), (one[1] ?? 0) + (other[1] ?? 0));
  const all = await Promise.all(
    Array.from({ length: size }, (_, rank) =>
      foldOverRanks({ rank, size }, between[rank] as Exchange, Float64Array.of(rank + 1, 1), join),
    ),
  );
  for (const one of all) expect([...one]).toEqual([12345678, 8]);
});

it.each([1, 2, 8])("gathers the numbers of %i ranks in their order, on each of them", async (size) => {
  const between = exchanges(size);
  const values = Array.from({ length: size }, (_, rank) => Float64Array.of(rank, Number.NaN, -rank));
  const all = await Promise.all(
    values.map((one, rank) => gatherOverRanks({ rank, size }, between[rank] as Exchange, one)),
  );
  for (const gathered of all) expect(gathered).toEqual(values);
});
