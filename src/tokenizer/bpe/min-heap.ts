/** Binary heap of numbers. The smallest number comes first. */
export interface MinHeap {
  push(value: number): void;
  /** Removes and returns the smallest number. Undefined if the heap is empty. */
  pop(): number | undefined;
}

/** @param expected expected number of values. The heap grows if there are more values. */
export const minHeap = (expected: number): MinHeap => {
  let values = new Float64Array(Math.max(16, expected));
  let size = 0;
  return {
    push: (value) => {
      if (size === values.length) {
        const larger = new Float64Array(2 * size);
        larger.set(values);
        values = larger;
      }
      let at = size++;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if ((values[parent] as number) <= value) break;
        values[at] = values[parent] as number;
        at = parent;
      }
      values[at] = value;
    },
    pop: () => {
      if (size === 0) return undefined;
      const least = values[0];
      const moved = values[--size] as number;
      let at = 0;
      for (let child = 1; child < size; child = 2 * at + 1) {
        if (child + 1 < size && (values[child + 1] as number) < (values[child] as number)) child++;
        if ((values[child] as number) >= moved) break;
        values[at] = values[child] as number;
        at = child;
      }
      values[at] = moved;
      return least;
    },
  };
};
