import type { RunTeam, Team } from "#foretoken/train/steps/team.js";

/** Machines in one process: each gives something, and waits for what all have given, in their order. */
const meetingOf = <T>(size: number): ((rank: number, part: T) => Promise<readonly T[]>) => {
  let parts: T[] = [];
  let waiting: ((all: readonly T[]) => void)[] = [];
  return (rank, part) =>
    new Promise((resolve) => {
      parts[rank] = part;
      waiting.push(resolve);
      if (waiting.length < size) return;
      for (const go of waiting) go(parts);
      parts = [];
      waiting = [];
    });
};

/** Machines in one process: they wait for each other, exchange, and add pairs, then pairs of pairs. */
export const teamOf = (size: number): readonly Team[] => {
  interface Part {
    readonly gradients: Float32Array;
    readonly loss: number;
  }
  const exchange = meetingOf<Part>(size);
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

/** Machines in one process that gather numbers. @param asked for each machine what asks it to stop. */
export const gatheringTeam = (
  size: number,
  asked: readonly AbortSignal[] = [],
): readonly Pick<RunTeam, "rank" | "size" | "gather" | "asked" | "agreed">[] => {
  const exchange = meetingOf<{ readonly values: Float64Array; readonly stops: boolean }>(size);
  return Array.from({ length: size }, (_, rank) => {
    const agreement = new AbortController();
    return {
      ...{ rank, size, asked: asked[rank], agreed: agreement.signal },
      async gather(values) {
        const all = await exchange(rank, { values: values.slice(), stops: asked[rank]?.aborted === true });
        if (all.some(({ stops }) => stops)) agreement.abort();
        return all.map((one) => one.values);
      },
    };
  });
};
