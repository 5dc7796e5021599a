/**
 * Maximum number of prompt positions in a pass without sequences that write. With twice as many, a pass is not faster
 * per position, but needs twice the memory for its temporaries.
 */
export const mostPositions = 256;
/**
 * Number of prompt positions in a pass with sequences that write. The next tokens of these sequences wait for the pass.
 */
const beside = { first: 64, least: 32, most: 256 };
/** Maximum time of a pass with prompt positions. The unit is the time of a pass without prompt positions. */
const mostDelay = 1.7;

/** Decides how many prompt positions a pass contains. */
export interface Pace {
  /** Number of prompt positions for a pass in which `writing` sequences write. */
  positions(writing: number): number;
  /** Records the time of a pass that computed `wrote` tokens after texts and `read` positions of prompts. */
  note(milliseconds: number, wrote: number, read: number): void;
}

/**
 * A pace that depends on the measured times of passes. The pace only decides how prompts are cut, so the bits of the
 * results do not change.
 */
export const createPace = (): Pace => {
  let rows = beside.first;
  let alone = 0;
  return {
    // Matrix products compute tiles of 32 rows.
    positions: (writing) => (writing === 0 ? mostPositions : Math.max(1, rows - (writing % 32))),
    note(milliseconds, wrote, read) {
      if (wrote > 0 && read === 0) alone = alone === 0 ? milliseconds : 0.8 * alone + 0.2 * milliseconds;
      if (wrote === 0 || read === 0 || alone === 0) return;
      if (milliseconds > mostDelay * alone) rows = Math.max(beside.least, rows - 32);
      else if (milliseconds < 0.8 * mostDelay * alone && 2 * read >= rows) rows = Math.min(beside.most, rows + 32);
    },
  };
};
