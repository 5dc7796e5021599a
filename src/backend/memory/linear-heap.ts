/**
 * Simulates the WebAssembly heap of native/heap.cc. The simulation returns the addresses that this heap would return,
 * but allocates no memory. The heap has one free list, takes the first block that fits, and merges adjacent free
 * blocks. Linear memory never shrinks, so the process keeps all memory that was ever written.
 */
export interface LinearHeap {
  /** Address of a new block of `bytes` bytes. */
  allocate(bytes: number): number;
  release(address: number, bytes: number): void;
  /** Marks the first `bytes` bytes of a block as written. */
  touch(address: number, bytes: number): void;
  /** Number of bytes of all pages ever written. */
  touched(): number;
}

const alignment = 64;
const growAtLeast = 2 ** 20;
const pageBytes = 2 ** 14;

const roundUp = (bytes: number): number => Math.max(1, Math.ceil(bytes / alignment)) * alignment;

interface Hole {
  at: number;
  bytes: number;
}

export const linearHeap = (): LinearHeap => {
  /** Free blocks in the order of their addresses. */
  const holes: Hole[] = [];
  let top = 0;
  let pages = new Uint8Array(1024);
  let touchedPages = 0;

  const addHole = (at: number, bytes: number): void => {
    let index = holes.findIndex((hole) => hole.at >= at);
    if (index < 0) index = holes.length;
    const before = holes[index - 1];
    const after = holes[index];
    const joinsAfter = after !== undefined && at + bytes === after.at;
    if (before !== undefined && before.at + before.bytes === at) {
      before.bytes += bytes + (joinsAfter ? after.bytes : 0);
      if (joinsAfter) holes.splice(index, 1);
    } else if (joinsAfter) {
      after.at = at;
      after.bytes += bytes;
    } else {
      holes.splice(index, 0, { at, bytes });
    }
  };

  const takeFirstFit = (bytes: number): number | undefined => {
    const index = holes.findIndex((hole) => hole.bytes >= bytes);
    const hole = holes[index];
    if (hole === undefined) return undefined;
    const { at } = hole;
    hole.at += bytes;
    hole.bytes -= bytes;
    if (hole.bytes === 0) holes.splice(index, 1);
    return at;
  };

  return {
    allocate(bytes) {
      const rounded = roundUp(bytes);
      const found = takeFirstFit(rounded);
      if (found !== undefined) return found;
      const grown = Math.ceil(Math.max(rounded, growAtLeast) / 2 ** 16) * 2 ** 16;
      addHole(top, grown);
      top += grown;
      return takeFirstFit(rounded) as number;
    },
    release: (address, bytes) => addHole(address, roundUp(bytes)),
    touch(address, bytes) {
      const first = Math.floor(address / pageBytes);
      const end = Math.ceil((address + bytes) / pageBytes);
      if (end > pages.length) {
        const larger = new Uint8Array(Math.max(end, 2 * pages.length));
        larger.set(pages);
        pages = larger;
      }
      for (let page = first; page < end; page++) {
        touchedPages += 1 - (pages[page] as number);
        pages[page] = 1;
      }
    },
    touched: () => touchedPages * pageBytes,
  };
};
