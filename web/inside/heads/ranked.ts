/** Places of a table by their numbers. */

export interface RankedHead {
  readonly layer: number;
  readonly head: number;
  readonly change: number;
}

/** Changes by "LAYER HEAD", the largest rise or fall first. */
export const ranked = (changes: ReadonlyMap<string, number>): readonly RankedHead[] =>
  [...changes]
    .map(([key, change]) => {
      const [layer = 0, head = 0] = key.split(" ").map(Number);
      return { layer, head, change };
    })
    .sort((a, b) => Math.abs(b.change) - Math.abs(a.change));
