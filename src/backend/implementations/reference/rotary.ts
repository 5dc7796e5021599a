import type { HostKernels } from "./host-args.ts";

interface RotaryShape {
  readonly rows: number;
  readonly time: number;
  readonly heads: number;
  readonly headDim: number;
  readonly start: number;
}

/** One head of q (part 0) or k (part 1) in one row: where it begins, its row of the table, its place in rstd. */
interface RotaryHead {
  readonly part: 0 | 1;
  readonly at: number;
  readonly angles: number;
  readonly stat: number;
}

/** Every head that is rotated, row by row, q before k. */
export const rotaryHeads = function* ({ rows, time, heads, headDim, start }: RotaryShape): Generator<RotaryHead> {
  const width = heads * headDim;
  for (let r = 0; r < rows; r++) {
    const angles = ((start + (r % time)) * headDim) / 2;
    for (const part of [0, 1] as const) {
      for (let h = 0; h < heads; h++) {
        yield { part, at: (3 * r + part) * width + h * headDim, angles, stat: (2 * r + part) * heads + h };
      }
    }
  }
};

/** The row's v, which goes through unchanged. */
const copyValues = (from: ArrayLike<number>, to: Record<number, number>, { rows, heads, headDim }: RotaryShape) => {
  const width = heads * headDim;
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < width; c++) to[(3 * r + 2) * width + c] = from[(3 * r + 2) * width + c] as number;
  }
};

/** Rotary position embedding (Su et al. 2021), the two halves of a head paired, after an RMS norm of q and k. */
export const rotary: HostKernels<"rotaryForward" | "rotaryBackward"> = {
  rotaryForward(args) {
    const { x, gammaQ, gammaK, cos, sin, y, rstd, headDim, eps } = args;
    const half = headDim / 2;
    for (const { part, at, angles, stat } of rotaryHeads(args)) {
      const gamma = part === 0 ? gammaQ : gammaK;
      let inverse = 1;
      if (gamma !== null) {
        let squares = 0;
        for (let i = 0; i < headDim; i++) squares += (x[at + i] as number) ** 2;
        inverse = 1 / Math.sqrt(squares / headDim + eps);
      }
      const scaled = (i: number): number =>
        (x[at + i] as number) * inverse * (gamma === null ? 1 : (gamma[i] as number));
      for (let i = 0; i < half; i++) {
        const c = cos[angles + i] as number;
        const s = sin[angles + i] as number;
        y[at + i] = scaled(i) * c - scaled(i + half) * s;
        y[at + i + half] = scaled(i + half) * c + scaled(i) * s;
      }
      rstd[stat] = inverse;
    }
    copyValues(x, y, args);
  },

  // The gradient is turned back by the same angle; from there on it is that of the RMS norm.
  rotaryBackward(args) {
    const { dy, x, gammaQ, gammaK, cos, sin, rstd, dx, dGammaQ, dGammaK, headDim } = args;
    const half = headDim / 2;
    const dz = new Float64Array(headDim);
    const gammaSums = [new Float64Array(headDim), new Float64Array(headDim)] as const;
    for (const { part, at, angles, stat } of rotaryHeads(args)) {
      for (let i = 0; i < half; i++) {
        const c = cos[angles + i] as number;
        const s = sin[angles + i] as number;
        const first = dy[at + i] as number;
        const second = dy[at + i + half] as number;
        dz[i] = first * c + second * s;
        dz[i + half] = second * c - first * s;
      }
      const gamma = part === 0 ? gammaQ : gammaK;
      if (gamma === null) {
        dx.set(dz, at);
        continue;
      }
      const inverse = rstd[stat] as number;
      const sums = gammaSums[part];
      let total = 0;
      for (let i = 0; i < headDim; i++) {
        const along = (dz[i] as number) * (x[at + i] as number) * inverse;
        sums[i] = (sums[i] as number) + along;
        total += along * (gamma[i] as number);
      }
      const mean = total / headDim;
      for (let i = 0; i < headDim; i++) {
        const normalised = (x[at + i] as number) * inverse;
        dx[at + i] = inverse * ((dz[i] as number) * (gamma[i] as number) - normalised * mean);
      }
    }
    copyValues(dy, dx, args);
    for (const [target, sums] of [
      [dGammaQ, gammaSums[0]],
      [dGammaK, gammaSums[1]],
    ] as const) {
      if (target === null) continue;
      for (let i = 0; i < headDim; i++) target[i] = (target[i] as number) + (sums[i] as number);
    }
  },
};
