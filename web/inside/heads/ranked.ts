/** Sorts heads by their changes of the loss. */

export interface RankedHead {
  readonly layer: number;
  readonly head: number;
  readonly change: number;
}

/** Heads sorted by the size of their change, largest rise or fall first. `changes` has keys "LAYER HEAD". */
export const ranked = (changes: ReadonlyMap<string, number>): readonly RankedHead[] =>
  [...changes]
    .map(([key, change]) => {
      const [layer = 0, head = 0] = key.split(" ").map(Number);
      return { layer, head, change };
    })
    .sort((a, b) => Math.abs(b.change) - Math.abs(a.change));
