import { rotaryHeads } from "#foretoken/backend/implementations/reference/rotary.js";
import type { Bounds } from "./bounds.ts";
import { at, eps, maybeMagnitudes, scaled, sumError } from "./bounds.ts";

/** Bounds of RMS norm, rotary embedding and SwiGLU. */
type Names =
  | "rmsNormForward"
  | "rmsNormBackward"
  | "rotaryForward"
  | "rotaryBackward"
  | "swigluForward"
  | "swigluBackward";

const smallestNormal = 2 ** -126;
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const rotaryBounds: Bounds<Names> = {
  // All terms of the mean square are positive, so the error of rstd is relative to rstd.
  rmsNormForward: ({ channels }, { y, rstd }) => ({
    y: (i) => (sumError(channels) + 2 * eps) * Math.abs(at(y, i)),
    rstd: (r) => sumError(channels) * at(rstd, r),
  }),

  rmsNormBackward: ({ dy, x, gamma, rstd, dGamma, rows, channels, add }, after) => {
    const gammaSums = maybeMagnitudes(dGamma);
    const dx = new Float64Array(rows * channels);
    for (let r = 0; r < rows; r++) {
      const normalised = (c: number): number => Math.abs(at(x, r * channels + c)) * at(rstd, r);
      const g = (c: number): number => Math.abs(at(dy, r * channels + c) * at(gamma, c));
      let mean = 0;
      for (let c = 0; c < channels; c++) {
        mean += (g(c) * normalised(c)) / channels;
        if (gammaSums !== null) gammaSums[c] = at(gammaSums, c) + Math.abs(at(dy, r * channels + c)) * normalised(c);
      }
      for (let c = 0; c < channels; c++) {
        const i = r * channels + c;
        dx[i] = at(rstd, r) * (2 * eps * g(c) + sumError(channels + 4) * normalised(c) * mean);
        if (add && after.dx !== null) dx[i] = at(dx, i) + eps * Math.abs(at(after.dx, i));
      }
    }
    return { dx: scaled(1, dx), dGamma: scaled(sumError(rows + 4), gammaSums) };
  },

  // A rotated element is a sum of two products. The bound uses the magnitudes of these products. v is copied exactly,
  // so its tolerance is 0.
  rotaryForward: (args, { rstd }) => {
    const { x, gammaQ, gammaK, cos, sin, headDim, rotaryDim } = args;
    const half = rotaryDim / 2;
    const y = new Float64Array(args.y.length);
    const stats = new Float64Array(rstd.length);
    for (const { part, at: head, angles, stat, gammaAt, normSize } of rotaryHeads(args)) {
      const gamma = part === 0 ? gammaQ : gammaK;
      const error = gamma === null ? 2 * eps : sumError(normSize) + 4 * eps;
      const z = (i: number): number =>
        Math.abs(at(x, head + i) * at(rstd, stat) * (gamma === null ? 1 : at(gamma, gammaAt + i)));
      for (let i = 0; i < half; i++) {
        const c = Math.abs(at(cos, angles + i));
        const s = Math.abs(at(sin, angles + i));
        y[head + i] = error * (z(i) * c + z(i + half) * s);
        y[head + half + i] = error * (z(i + half) * c + z(i) * s);
      }
      for (let i = rotaryDim; i < headDim; i++) y[head + i] = gamma === null ? 0 : error * z(i);
      stats[stat] = gamma === null ? 0 : sumError(normSize) * at(rstd, stat);
    }
    return { y: scaled(1, y), rstd: scaled(1, stats) };
  },

  rotaryBackward: (args) => {
    const { dy, x, gammaQ, gammaK, cos, sin, rstd, rows, heads, headDim, rotaryDim, together } = args;
    const half = rotaryDim / 2;
    const dx = new Float64Array(args.dx.length);
    const gammaSums = [maybeMagnitudes(args.dGammaQ), maybeMagnitudes(args.dGammaK)] as const;
    const dz = new Float64Array(dx.length);
    for (const { at: head, angles } of rotaryHeads(args)) {
      for (let i = 0; i < half; i++) {
        const c = Math.abs(at(cos, angles + i));
        const s = Math.abs(at(sin, angles + i));
        const first = Math.abs(at(dy, head + i));
        const second = Math.abs(at(dy, head + half + i));
        dz[head + i] = first * c + second * s;
        dz[head + i + half] = second * c + first * s;
      }
      for (let i = rotaryDim; i < headDim; i++) dz[head + i] = Math.abs(at(dy, head + i));
    }
    for (const { part, at: head, stat, gammaAt, normAt, normSize } of rotaryHeads(args)) {
      const gamma = part === 0 ? gammaQ : gammaK;
      if (gamma === null || x === null) {
        for (let i = 0; i < headDim; i++) dx[head + i] = 2 * eps * at(dz, head + i);
        continue;
      }
      const normalised = (place: number): number => Math.abs(at(x, place)) * at(rstd, stat);
      const sums = gammaSums[part];
      let mean = 0;
      for (let i = 0; i < normSize; i++) {
        mean += (at(dz, normAt + i) * Math.abs(at(gamma, i)) * normalised(normAt + i)) / normSize;
      }
      for (let i = 0; i < headDim; i++) {
        const place = head + i;
        const scale = gammaAt + i;
        if (sums !== null) sums[scale] = at(sums, scale) + at(dz, place) * normalised(place);
        const own = 4 * eps * at(dz, place) * Math.abs(at(gamma, scale));
        dx[place] = at(rstd, stat) * (own + sumError(normSize + 8) * normalised(place) * mean);
      }
    }
    const error = gammaQ === null ? 0 : sumError(rows * (together === 1 ? 1 : heads) + 6);
    return { dx: scaled(1, dx), dGammaQ: scaled(error, gammaSums[0]), dGammaK: scaled(error, gammaSums[1]) };
  },

  // σ has a relative error of a few ε. Below the smallest normal number, σ may be 0.
  swigluForward: ({ x, hidden }, { y }) => ({
    y: (i) => {
      const gate = Math.floor(i / hidden) * 2 * hidden + (i % hidden);
      const flushed = smallestNormal * Math.abs(at(x, gate) * at(x, gate + hidden));
      return 4 * eps * Math.abs(at(y, i)) + flushed;
    },
  }),

  swigluBackward: ({ x, dy, hidden }) => ({
    dx: (i) => {
      const r = Math.floor(i / (2 * hidden));
      const c = i % hidden;
      const gate = at(x, 2 * r * hidden + c);
      const s = sigmoid(gate);
      const d = Math.abs(at(dy, r * hidden + c));
      const size = Math.abs(gate);
      if (i % (2 * hidden) >= hidden) return d * size * (4 * eps * s + smallestNormal);
      // Near −1.28, the two terms of the slope may cancel. So the bound uses the magnitudes of the terms.
      const slope = s + size * s * sigmoid(-gate);
      return d * Math.abs(at(x, (2 * r + 1) * hidden + c)) * (6 * eps * slope + (1 + size) * smallestNormal);
    },
  }),
};
