/** Elementwise kernels and sums of the kernel table (kernels.ts). */

import {
  activation,
  activationOutput,
  activationUpdate,
  indices,
  input,
  kernel,
  maybeInput,
  maybeUpdate,
  output,
  update,
} from "./signature.ts";
import { dropoutKey, strided } from "./sizes.ts";

export const elementwiseKernels = {
  fill: kernel({
    purpose: "y[i] = value",
    buffers: { y: output },
    ints: ["n"],
    floats: ["value"],
    lengths: ({ n }) => ({ y: n }),
  }),

  add: kernel({
    purpose: "y = a + b",
    buffers: { a: activation, b: activation, y: activationOutput },
    ints: ["n"],
    floats: [],
    lengths: ({ n }) => ({ a: n, b: n, y: n }),
    oneType: ["a", "b", "y"],
    shares: { y: ["a", "b"] },
  }),

  /** `unreal`, [1], is set to 1 if an element of y is not finite. */
  combine: kernel({
    purpose: "y = alpha · a + beta · b",
    buffers: { a: input, b: input, y: output, unreal: maybeUpdate },
    ints: ["n"],
    floats: ["alpha", "beta"],
    lengths: ({ n }) => ({ a: n, b: n, y: n, unreal: 1 }),
    shares: { y: ["a", "b"] },
    cost: { unread: ["unreal"] },
  }),

  copyRows: kernel({
    purpose: "Copies `rows` rows of `width` from x (row stride xStride) to y (row stride yStride)",
    buffers: { x: activation, y: activationUpdate },
    ints: ["rows", "width", "xStride", "yStride"],
    floats: [],
    lengths: ({ rows, width, xStride, yStride }) => ({
      x: strided(1, 0, rows, xStride, width),
      y: strided(1, 0, rows, yStride, width),
    }),
    cost: { touched: ({ rows, width }) => ({ x: rows * width, y: rows * width }), unread: ["y"] },
  }),

  /** The caller checks that places are below `yRows` and distinct. A compiled backend skips invalid places. */
  placeRows: kernel({
    purpose: "Copies row r of x to row places[r] of y[yRows, width]; x has `rows` rows of `width` (row stride xStride)",
    buffers: { x: activation, places: indices, y: activationUpdate },
    ints: ["rows", "width", "xStride", "yRows"],
    floats: [],
    lengths: ({ rows, width, xStride, yRows }) => ({
      x: strided(1, 0, rows, xStride, width),
      places: rows,
      y: yRows * width,
    }),
    cost: { touched: ({ rows, width }) => ({ x: rows * width, y: rows * width }), unread: ["y"] },
  }),

  /** Additions have a fixed order, so the bits are the same for any number of threads. */
  sum: kernel({
    purpose: "y[0] = Σx",
    buffers: { x: input, y: output },
    ints: ["n"],
    floats: [],
    lengths: ({ n }) => ({ x: n, y: 1 }),
  }),

  /** Additions have a fixed order, so the bits are the same for any number of threads. */
  sumOfSquares: kernel({
    purpose: "y[0] = Σx²",
    buffers: { x: input, y: output },
    ints: ["n"],
    floats: [],
    lengths: ({ n }) => ({ x: n, y: 1 }),
  }),

  /**
   * `ranges` contains the start and end of each range. Ranges must not overlap. If there is no addend, x is unchanged.
   * Each sum has the same bits as a sum from sumOfSquares.
   */
  addSquares: kernel({
    purpose: "x += addend in the ranges, if addend is given; squares[r] = Σx² of range r",
    buffers: { x: update, addend: maybeInput, ranges: indices, squares: output },
    ints: ["n", "count"],
    floats: [],
    lengths: ({ n, count }) => ({ x: n, addend: n, ranges: 2 * count, squares: count }),
  }),

  /** `squares` is the result of sumOfSquares. */
  scaleByNorm: kernel({
    purpose: "y = x / (√squares[0] + eps)",
    buffers: { x: input, squares: input, y: output },
    ints: ["n"],
    floats: ["eps"],
    lengths: ({ n }) => ({ x: n, squares: 1, y: n }),
    shares: { y: ["x"] },
  }),

  /**
   * With `tanh` = 0, gelu is x·Φ(x), computed with erf. With `tanh` = 1, gelu is the tanh approximation (Hendrycks &
   * Gimpel 2016).
   */
  geluForward: kernel({
    purpose: "y = gelu(x)",
    buffers: { x: input, y: output },
    ints: ["n", "tanh"],
    floats: [],
    lengths: ({ n }) => ({ x: n, y: n }),
  }),

  geluBackward: kernel({
    purpose: "dx = dy · gelu′(x)",
    buffers: { x: input, dy: input, dx: output },
    ints: ["n", "tanh"],
    floats: [],
    lengths: ({ n }) => ({ x: n, dy: n, dx: n }),
  }),

  /**
   * keep(i) is defined as in linearDropoutForward. This kernel does not save the dropout mask as bits; the backward
   * kernel draws the mask again.
   */
  dropout: kernel({
    purpose: "y[i] = x[i] · keep(i) / (1 − p)",
    buffers: { x: activation, y: activationOutput },
    ints: ["n", ...dropoutKey],
    words: dropoutKey,
    floats: ["p"],
    lengths: ({ n }) => ({ x: n, y: n }),
    limits: [{ kind: "share", real: "p" }],
    oneType: ["x", "y"],
    shares: { y: ["x"] },
  }),

  /** SwiGLU (Shazeer 2020): x is gate | up, [rows, 2·hidden]; y is [rows, hidden]. */
  swigluForward: kernel({
    purpose: "y = gate · σ(gate) · up",
    buffers: { x: activation, y: activationOutput },
    ints: ["rows", "hidden"],
    floats: [],
    lengths: ({ rows, hidden }) => ({ x: 2 * rows * hidden, y: rows * hidden }),
  }),

  swigluBackward: kernel({
    purpose: "dx = dGate | dUp, with dGate = dy · up · (σ + gate · σ · (1 − σ)) and dUp = dy · gate · σ",
    buffers: { x: activation, dy: activation, dx: activationOutput },
    ints: ["rows", "hidden"],
    floats: [],
    lengths: ({ rows, hidden }) => ({ x: 2 * rows * hidden, dy: rows * hidden, dx: 2 * rows * hidden }),
  }),

  /**
   * GEGLU (Shazeer 2020): x is gate | up, [rows, 2·hidden]; y is [rows, hidden]. `tanh` has the same meaning as in
   * geluForward.
   */
  gegluForward: kernel({
    purpose: "y = gelu(gate) · up",
    buffers: { x: activation, y: activationOutput },
    ints: ["rows", "hidden", "tanh"],
    floats: [],
    lengths: ({ rows, hidden }) => ({ x: 2 * rows * hidden, y: rows * hidden }),
  }),

  gegluBackward: kernel({
    purpose: "dx = dGate | dUp, with dGate = dy · up · gelu′(gate) and dUp = dy · gelu(gate)",
    buffers: { x: activation, dy: activation, dx: activationOutput },
    ints: ["rows", "hidden", "tanh"],
    floats: [],
    lengths: ({ rows, hidden }) => ({ x: 2 * rows * hidden, dy: rows * hidden, dx: 2 * rows * hidden }),
  }),

  /** Squared ReLU (So et al. 2021, "Primer"). */
  relu2Forward: kernel({
    purpose: "y = max(0, x)²",
    buffers: { x: input, y: activationOutput },
    ints: ["n"],
    floats: [],
    lengths: ({ n }) => ({ x: n, y: n }),
  }),

  relu2Backward: kernel({
    purpose: "dx = dy · 2 · max(0, x)",
    buffers: { x: input, dy: activation, dx: activationOutput },
    ints: ["n"],
    floats: [],
    lengths: ({ n }) => ({ x: n, dy: n, dx: n }),
  }),
} as const;
