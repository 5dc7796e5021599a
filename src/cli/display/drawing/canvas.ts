/** Draws curves as dots in a grid of characters. A character contains several dots. */

/** A loss in nats per token at a step. */
export interface CurvePoint {
  readonly step: number;
  readonly loss: number;
}

/**
 * Division of a character into dots, and the character for each set of dots. Bit 0 is the first dot; bits are in row
 * order.
 */
export interface Cell {
  readonly across: number;
  readonly down: number;
  readonly glyph: (bits: number) => string;
}

/**
 * The bits of the dots in a Unicode braille pattern, in row order. Unicode numbers the upper three rows column by
 * column, and then the fourth row.
 */
const brailleBits = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80];
const braille: Cell = {
  across: 2,
  down: 4,
  glyph: (bits) => String.fromCodePoint(0x2800 + brailleBits.reduce((sum, bit, i) => sum + ((bits >> i) & 1) * bit, 0)),
};
const ascii: Cell = { across: 1, down: 3, glyph: (bits) => [" ", "'", "-", ":", ".", ":", ":", "|"][bits] ?? "|" };

/** The division of a character with the most dots that the terminal can show. */
export const cellFor = (unicode: boolean): Cell => (unicode ? braille : ascii);

export const isDrawable = ({ step, loss }: CurvePoint): boolean => Number.isFinite(step) && Number.isFinite(loss);

/** Mean loss of each column of dots. Columns without points are left out. */
export const meanByColumn = (points: readonly CurvePoint[], column: (step: number) => number): [number, number][] => {
  const means: [column: number, loss: number][] = [];
  let sum = 0;
  let count = 0;
  points.forEach((point, i) => {
    sum += point.loss;
    count++;
    const next = points[i + 1];
    if (next !== undefined && column(next.step) === column(point.step)) return;
    means.push([column(point.step), sum / count]);
    sum = 0;
    count = 0;
  });
  return means;
};

/** A grid of dots that is returned as characters. */
export const createCanvas = (width: number, height: number, cell: Cell) => {
  const bits = new Uint8Array(width * height);
  const dot = (x: number, y: number): void => {
    const at = Math.floor(y / cell.down) * width + Math.floor(x / cell.across);
    bits[at] = (bits[at] ?? 0) | (1 << ((y % cell.down) * cell.across + (x % cell.across)));
  };
  const vertical = (x: number, from: number, to: number): void => {
    for (let y = Math.min(from, to); y <= Math.max(from, to); y++) dot(x, y);
  };
  return {
    /** Connects the points without gaps. x must increase from point to point. */
    line(points: readonly (readonly [x: number, y: number])[]): void {
      let [x, y] = points[0] ?? [0, 0];
      if (points.length > 0) dot(x, y);
      for (const [toX, toY] of points.slice(1)) {
        const fromX = x;
        const fromY = y;
        while (x < toX) {
          x++;
          const nextY = Math.round(fromY + ((toY - fromY) * (x - fromX)) / (toX - fromX));
          // Start one dot above or below the height of the previous dot, so that lines stay thin.
          vertical(x, y < nextY ? y + 1 : y > nextY ? y - 1 : y, nextY);
          y = nextY;
        }
      }
    },
    character: (column: number, row: number): string | undefined => {
      const found = bits[row * width + column] ?? 0;
      return found === 0 ? undefined : cell.glyph(found);
    },
  };
};
