import type { Team } from "#foretoken/train/steps/team.js";

/** Machines in one process: they wait for each other, exchange, and add pairs, then pairs of pairs. */
export const teamOf = (size: number): readonly Team[] => {
  interface Part {
    readonly gradients: Float32Array;
    readonly loss: number;
  }
  let parts: Part[] = [];
  let waiting: ((all: readonly Part[]) => void)[] = [];
  const exchange = (rank: number, part: Part): Promise<readonly Part[]> =>
    new Promise((resolve) => {
      parts[rank] = part;
      waiting.push(resolve);
      if (waiting.length < size) return;
      for (const go of waiting) go(parts);
      parts = [];
      waiting = [];
    });
  const add = (one: Part, other: Part): Part => ({
    gradients: one.gradients.map((value, i) => value + (other.gradients[i] ?? Number.NaN)),
    loss: one.loss + other.loss,
  });
  return Array.from({ length: size }, (_, rank) => ({
    rank,
    size,
    async reduce(backend, { storage }, loss) {
      const gradients = Float32Array.from(await backend.read(storage));
      let sums = await exchange(rank, { gradients, loss });
      while (sums.length > 1) sums = sums.flatMap((sum, i) => (i % 2 === 0 ? [add(sum, sums[i + 1] ?? sum)] : []));
      const [sum] = sums as [Part];
      backend.write(storage, sum.gradients);
      return sum.loss;
    },
  }));
};
