/** Growing columns of numbers in typed arrays. The capacity doubles when it is full. */

export interface Table<K extends string> {
  readonly length: number;
  /** Array of the column. The array is valid up to `length`, and only until the next push. */
  readonly column: (name: K) => Float64Array;
  readonly push: (row: Readonly<Record<K, number>>) => void;
  /** Keeps only the first `length` rows. */
  readonly truncate: (length: number) => void;
}

export const createTable = <K extends string>(names: readonly K[]): Table<K> => {
  let capacity = 1024;
  let length = 0;
  const columns = new Map<K, Float64Array>(names.map((name) => [name, new Float64Array(capacity)]));
  const grow = () => {
    capacity *= 2;
    for (const [name, old] of columns) {
      const larger = new Float64Array(capacity);
      larger.set(old);
      columns.set(name, larger);
    }
  };
  const none = new Float64Array(0);
  return {
    get length() {
      return length;
    },
    column: (name) => columns.get(name) ?? none,
    push(row) {
      if (length === capacity) grow();
      for (const [name, values] of columns) values[length] = row[name];
      length++;
    },
    truncate(rows) {
      length = Math.min(length, rows);
    },
  };
};

/** Index of the first value that is at least `value`, in a column of rising values. */
export const lowerBound = (values: ArrayLike<number>, length: number, value: number): number => {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
};
