/** Positions of prompts in a pass, where no sequence writes. */
const alonePositions = 512;
/** The same beside sequences that write, whose next tokens wait for it. */
const beside = { first: 64, least: 32, most: 256 };
/** Beside a piece of a prompt a pass takes at most this many times as long as without. */
const mostDelay = 1.7;

/** How many positions of prompts go into a pass. */
export interface Pace {
  /** Beside `writing` sequences. */
  positions(writing: number): number;
  /** Notes how long a pass took, of so many tokens that followed texts and positions of prompts. */
  note(milliseconds: number, wrote: number, read: number): void;
}

/** A pace that follows what passes take. It decides how prompts are cut, which no bit depends on. */
export const createPace = (): Pace => {
  let rows = beside.first;
  let alone = 0;
  return {
    // Products by tiles take rows in thirty-twos.
    positions: (writing) => (writing === 0 ? alonePositions : Math.max(1, rows - (writing % 32))),
    note(milliseconds, wrote, read) {
      if (wrote > 0 && read === 0) alone = alone === 0 ? milliseconds : 0.8 * alone + 0.2 * milliseconds;
      if (wrote === 0 || read === 0 || alone === 0) return;
      if (milliseconds > mostDelay * alone) rows = Math.max(beside.least, rows - 32);
      else if (milliseconds < 0.8 * mostDelay * alone && 2 * read >= rows) rows = Math.min(beside.most, rows + 32);
    },
  };
};
