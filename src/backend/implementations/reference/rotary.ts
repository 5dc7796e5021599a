import type { HostKernels } from "./host-args.ts";

interface RotaryShape {
  readonly rows: number;
  readonly time: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly start: number;
  /** If 1, one norm covers all heads of q, and another norm covers all heads of k. */
  readonly together: number;
  readonly places: Int32Array | null;
}

/** One head of q (part 0) or k (part 1) in one row. */
interface RotaryHead {
  readonly part: 0 | 1;
  /** Its offset. */
  readonly at: number;
  /** Offset of the head's angles in the table of angles. */
  readonly angles: number;
  /** Index of the head's norm in rstd. */
  readonly stat: number;
  /** Offset in gamma of the head's first channel. */
  readonly gammaAt: number;
  /** The elements that the head's norm covers: offset and number. */
  readonly normAt: number;
  readonly normSize: number;
}

const widthOf = ({ heads, keyHeads, headDim }: RotaryShape): number => (heads + 2 * keyHeads) * headDim;

/** Yields every rotated head, row by row. In a row the heads of q come before the heads of k. */
export const rotaryHeads = function* (shape: RotaryShape): Generator<RotaryHead> {
  const { rows, time, heads, keyHeads, headDim, rotaryDim, start, places, together } = shape;
  for (let r = 0; r < rows; r++) {
    const position = places === null ? start + (r % time) : (places[r] as number);
    for (let h = 0; h < heads + keyHeads; h++) {
      const at = r * widthOf(shape) + h * headDim;
      const own = { at, angles: (position * rotaryDim) / 2, stat: r * (heads + keyHeads) + h };
      const part = h < heads ? 0 : 1;
      const gammaAt = together === 1 ? (h - part * heads) * headDim : 0;
      const normSize = (together === 1 ? (part === 0 ? heads : keyHeads) : 1) * headDim;
      yield { part, ...own, gammaAt, normAt: at - gammaAt, normSize };
    }
  }
};

/** Copies the row's v, which is not rotated. */
const copyValues = (from: ArrayLike<number>, to: Record<number, number>, shape: RotaryShape) => {
  const width = widthOf(shape);
  const first = (shape.heads + shape.keyHeads) * shape.headDim;
  for (let r = 0; r < shape.rows; r++) {
    for (let c = r * width + first; c < (r + 1) * width; c++) to[c] = from[c] as number;
  }
};

/**
 * Rotary position embedding (Su et al. 2021) after an RMS norm of q and k. The rotation pairs the two halves of the
 * rotated part of a head.
 */
export const rotary: HostKernels<"rotaryForward" | "rotaryBackward"> = {
  rotaryForward(args) {
    const { x, gammaQ, gammaK, cos, sin, y, rstd, headDim, rotaryDim, eps } = args;
    const half = rotaryDim / 2;
    for (const { part, at, angles, stat, gammaAt, normAt, normSize } of rotaryHeads(args)) {
      const gamma = part === 0 ? gammaQ : gammaK;
      let inverse = 1;
      if (gamma !== null) {
        let squares = 0;
        for (let i = 0; i < normSize; i++) squares += (x[normAt + i] as number) ** 2;
        inverse = 1 / Math.sqrt(squares / normSize + eps);
      }
      const scaled = (i: number): number =>
        (x[at + i] as number) * inverse * (gamma === null ? 1 : (gamma[gammaAt + i] as number));
      for (let i = 0; i < half; i++) {
        const c = cos[angles + i] as number;
        const s = sin[angles + i] as number;
        y[at + i] = scaled(i) * c - scaled(i + half) * s;
        y[at + i + half] = scaled(i + half) * c + scaled(i) * s;
      }
      for (let i = rotaryDim; i < headDim; i++) y[at + i] = scaled(i);
      rstd[stat] = inverse;
    }
    copyValues(x, y, args);
  },

  // Rotate the gradient back by the same angle, then apply the gradient of the RMS norm.
  rotaryBackward(args) {
    const { dy, x, gammaQ, gammaK, cos, sin, rstd, dx, dGammaQ, dGammaK, headDim, rotaryDim } = args;
    const half = rotaryDim / 2;
    const dz = new Float64Array(dx.length);
    for (const { at, angles } of rotaryHeads(args)) {
      for (let i = 0; i < half; i++) {
        const c = cos[angles + i] as number;
        const s = sin[angles + i] as number;
        const first = dy[at + i] as number;
        const second = dy[at + i + half] as number;
        dz[at + i] = first * c + second * s;
        dz[at + i + half] = second * c - first * s;
      }
      for (let i = rotaryDim; i < headDim; i++) dz[at + i] = dy[at + i] as number;
    }
    const gammaSums = [new Float64Array(gammaQ?.length ?? 0), new Float64Array(gammaK?.length ?? 0)] as const;
    for (const { part, at, stat, gammaAt, normAt, normSize } of rotaryHeads(args)) {
      const gamma = part === 0 ? gammaQ : gammaK;
      if (gamma === null || x === null) {
        dx.set(dz.subarray(at, at + headDim), at);
        continue;
      }
      const inverse = rstd[stat] as number;
      const sums = gammaSums[part];
      const along = (place: number): number => (dz[place] as number) * (x[place] as number) * inverse;
      let total = 0;
      for (let i = 0; i < normSize; i++) total += along(normAt + i) * (gamma[i] as number);
      const mean = total / normSize;
      for (let i = 0; i < headDim; i++) {
        sums[gammaAt + i] = (sums[gammaAt + i] as number) + along(at + i);
        const normalised = (x[at + i] as number) * inverse;
        dx[at + i] = inverse * ((dz[at + i] as number) * (gamma[gammaAt + i] as number) - normalised * mean);
      }
    }
    copyValues(dy, dx, args);
    for (const [target, sums] of [
      [dGammaQ, gammaSums[0]],
      [dGammaK, gammaSums[1]],
    ] as const) {
      if (target === null) continue;
      for (let i = 0; i < sums.length; i++) target[i] = (target[i] as number) + (sums[i] as number);
    }
  },
};
