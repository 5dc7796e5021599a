/**
 * The head and the loss of a model (the student) that learns from a text and from other models (the teachers): Hinton,
 * Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network" (arXiv:1503.02531). With z the logits of the
 * student, aᵢ the logits of teacher i of n, q the mean of the softmax(aᵢ / T), and p = softmax(z / T):
 *
 *   L = (1 − w) · Σ over rows of crossEntropy(z, target)  +  w · T² / n · Σ over rows and i of KL(softmax(aᵢ / T) ‖ p)
 *
 *   x [.., K]   W [V, K]   b [V]   targets [..]   hiddenᵢ [.., Kᵢ]   Wᵢ [V, Kᵢ]   →   L [1]
 *   dz = dL · ((1 − w) · (softmax(z) − onehot(target)) + w · T · (p − q))
 *
 * The mean of the divergences from the teachers differs from KL(q ‖ p) only by a number that does not depend on the
 * student. So both have the same gradient, which uses the average of the teachers' probabilities.
 *
 * As in linear-cross-entropy.ts, the logits of a large vocabulary are computed for one range of the vocabulary at a
 * time, and again in the backward pass.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { slice } from "../autograd/tensor.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { sizeOf } from "../core/tensors/shape.ts";
import { type LinearWeights, linearSizes, weightsOf } from "./linear.ts";
import { columnsAtATime, columnsOfBlocks, headOver, partOf, type Range, rangesOf } from "./linear-cross-entropy.ts";
import { requireShape, scaleBy } from "./op.ts";

/** Output of a teacher before its head. */
export interface TeacherOutput {
  /** The teacher's context, which records nothing and has the rounded copies of the teacher's weights. */
  readonly context: Context;
  /** [.., K] of the teacher: a temporary, which the op releases. */
  readonly hidden: Tensor;
  readonly head: LinearWeights;
}

/** How the two parts of the loss are mixed. */
export interface DistillationMix {
  /** Share of the teachers' part, w, above 0 and at most 1. */
  readonly weight: number;
  /** T, above 0. */
  readonly temperature: number;
}

/** Result of the op. */
export interface DistillationLoss {
  /** L, [1]. */
  readonly total: Tensor;
  /** [2]: the sum of the cross-entropies, and the sum of the divergences times T² / n. A temporary. */
  readonly parts: Tensor;
}

/** Logits of a range, at the temperature of the op. */
interface SoftLogits {
  readonly logits: Tensor;
  readonly logSumExp: Tensor;
}

/**
 * Computes L in nats, and its two parts. A row with a negative target is ignored in both parts.
 * @param columns as in `linearCrossEntropy`.
 */
export const distillation = (
  context: Context,
  x: Tensor,
  weights: LinearWeights,
  targets: Tensor,
  teachers: readonly TeacherOutput[],
  { weight, temperature }: DistillationMix,
  columns?: number,
): DistillationLoss => {
  const { backend, memory, tape } = context;
  const { m: rows, n: vocabSize, k } = linearSizes("distillation", x, weights);
  requireShape("distillation", "targets", targets, x.shape.slice(0, -1));
  checkTeachers(teachers, rows, vocabSize);
  // The logits of the student, at both temperatures, and of the teachers are in memory together.
  const asked = columns ?? columnsAtATime(backend.capabilities, rows * (teachers.length + 2), vocabSize);
  const wanted = weights.weight.blocks === undefined ? asked : columnsOfBlocks(context, weights.weight, asked);
  const width = Math.min(wanted, vocabSize);
  const ranges = rangesOf(vocabSize, width);
  const head = headOver(context, x, weights);
  const heads = teachers.map((teacher) => headOver(teacher.context, teacher.hidden, teacher.head));
  const soft = softmaxTools(context, targets, rows, vocabSize);

  // With one range, the logits are kept for the backward pass. With several ranges, they are computed again.
  const isWhole = ranges.length === 1;
  const logits = memory.allocate([rows, width]);
  const logSumExp = memory.allocate([rows]);
  // At temperature 1 both parts of the loss use the same logits.
  const isOwn = temperature !== 1;
  const student = isOwn
    ? { logits: memory.allocate([rows, width]), logSumExp: memory.allocate([rows]) }
    : { logits, logSumExp };
  const taught = teachers.map(() => ({
    logits: memory.allocate([rows, width]),
    logSumExp: memory.allocate([rows]),
  }));
  const all = isOwn ? [student, ...taught] : taught;
  const fill = (range: Range): void => {
    head.logitsIn(logits, range);
    if (isOwn) {
      const n = rows * range.columns;
      const given = { a: logits, b: logits, y: student.logits, unreal: null, n };
      backend.run("combine", { ...given, alpha: 1 / temperature, beta: 0 });
    }
    for (const [i, { logits: out }] of taught.entries()) {
      heads[i]?.logitsIn(out, range);
      scaleBy(backend, partOfRows(out, rows, range), 1 / temperature);
    }
  };

  const losses = memory.allocate([rows]);
  const unused = memory.allocate([rows]);
  for (const range of ranges) {
    fill(range);
    backend.run("crossEntropyForward", { logits, targets, losses, logSumExp, rows, ...range, vocabSize });
    for (const one of all)
      backend.run("crossEntropyForward", { ...one, targets, losses: unused, rows, ...range, vocabSize });
  }
  memory.release(unused);

  const parts = memory.allocate([2]);
  backend.run("sum", { x: losses, y: slice(parts, 0, [1]), n: rows });
  memory.release(losses);
  const divergence = slice(parts, 1, [1]);
  const terms = divergences(soft, student, taught, ranges, isWhole ? () => {} : fill);
  backend.run("sum", { x: terms, y: divergence, n: sizeOf(terms.shape) });
  memory.release(terms);
  scaleBy(backend, divergence, temperature ** 2 / (2 * teachers.length));
  const total = memory.allocate([1]);
  const mixed = { a: slice(parts, 0, [1]), b: divergence, y: total, unreal: null, n: 1 };
  backend.run("combine", { ...mixed, alpha: 1 - weight, beta: weight });

  const passLogits = [logits, ...all.map((one) => one.logits)];
  const sums = [logSumExp, ...all.map((one) => one.logSumExp)];
  const hidden = teachers.map((teacher) => teacher.hidden);
  if (tape === null) {
    for (const one of [...passLogits, ...sums, ...hidden]) memory.release(one);
    return { total, parts };
  }
  const saved = isWhole ? [...passLogits, ...sums] : [...passLogits, ...sums, ...hidden];
  if (isWhole) for (const one of hidden) memory.release(one);
  tape.record(total, [x, ...weightsOf(weights)], saved, (dLoss) => {
    const dx = tape.tracks(x) ? memory.allocate(x.shape) : null;
    const dWeight = tape.destination(weights.weight);
    const dBias = weights.bias === null ? null : tape.accumulator(weights.bias);
    const dz = memory.allocate([rows, width]);
    const other = memory.allocate([rows, width]);
    for (const range of ranges) {
      if (!isWhole) fill(range);
      const n = rows * range.columns;
      // p − q. The order of the sums makes the difference exactly 0 for one teacher with the student's probabilities.
      soft.probabilities(student, range, dLoss, dz);
      for (const one of taught) {
        soft.probabilities(one, range, dLoss, other);
        const beta = -1 / taught.length;
        backend.run("combine", { a: dz, b: other, y: dz, unreal: null, n, alpha: 1, beta });
      }
      const ofText = { logits, targets, logSumExp, dLoss, dLogits: other, rows, ...range, vocabSize };
      backend.run("crossEntropyBackward", ofText);
      const beta = 1 - weight;
      backend.run("combine", { a: dz, b: other, y: dz, unreal: null, n, alpha: weight * temperature, beta });
      const size = { m: rows, n: range.columns, k };
      if (dx !== null) {
        const add = range.first === 0 ? 0 : 1;
        const given = { dy: dz, factor: null, dx, ...size, add } as const;
        head.withPart(range, (w) => backend.run("linearBackwardInput", { ...given, w }));
      }
      if (dWeight !== null) {
        const { gradient, add } = dWeight;
        const dParts = { dw: partOf(gradient, range), dBias: partOf(dBias, range) };
        backend.run("linearBackwardWeight", { dy: dz, x, ...dParts, ...size, add });
      }
    }
    memory.release(other);
    memory.release(dz);
    if (dx !== null) tape.accumulate(x, dx);
  });
  return { total, parts };
};

const checkTeachers = (teachers: readonly TeacherOutput[], rows: number, vocabSize: number): void => {
  if (teachers.length === 0)
    throw new ShapeError({ where: "distillation", must: "there must be a teacher", got: "none" });
  for (const { hidden, head } of teachers) {
    const { m, n } = linearSizes("distillation", hidden, head);
    if (m === rows && n === vocabSize) continue;
    const must = `a teacher must give logits of shape [${rows}, ${vocabSize}]`;
    throw new ShapeError({ where: "distillation", must, got: `[${m}, ${n}]` });
  }
};

/** The first elements of a buffer of logits, which hold a range. */
const partOfRows = (logits: Tensor, rows: number, { columns }: Range): Tensor => slice(logits, 0, [rows * columns]);

/** The kernel of the cross-entropy's gradient, used for softmaxes without a target. */
const softmaxTools = (context: Context, targets: Tensor, rows: number, vocabSize: number) => {
  const { backend } = context;
  // The columns are numbered as if they came after the vocabulary, where no target is, so the kernel subtracts no
  // one-hot vector. Rows with a negative target still get 0.
  const shifted = ({ first, columns }: Range) => ({ first: vocabSize + first, columns, vocabSize: 2 * vocabSize });
  return {
    context,
    rows,
    /** y = scale · softmax, or 0 in ignored rows. `scale` is a tensor [1]. */
    probabilities({ logits, logSumExp }: SoftLogits, range: Range, scale: Tensor, y: Tensor): void {
      const given = { logits, targets, logSumExp, dLoss: scale, dLogits: y, rows, ...shifted(range) };
      backend.run("crossEntropyBackward", given);
    },
    /** y[r] = 1 for a row that counts, 0 for an ignored row. `zeros` is [rows]. */
    counted(one: Tensor, zeros: Tensor, y: Tensor): void {
      const given = { logits: zeros, targets, logSumExp: zeros, dLoss: one, dLogits: y, rows };
      backend.run("crossEntropyBackward", { ...given, ...shifted({ first: 0, columns: 1 }) });
    },
  };
};

/**
 * Terms whose sum is twice the sum of the divergences over rows and teachers. For a row, with a and z at the
 * temperature: KL = Σ q · (a − z) − (logSumExp(a) − logSumExp(z)).
 * @param fill computes the logits of a range.
 */
const divergences = (
  soft: ReturnType<typeof softmaxTools>,
  student: SoftLogits,
  taught: readonly SoftLogits[],
  ranges: readonly Range[],
  fill: (range: Range) => void,
): Tensor => {
  const { backend, memory } = soft.context;
  const { rows } = soft;
  const width = sizeOf(student.logits.shape) / rows;
  const terms = memory.allocate([(ranges.length + 1) * taught.length]);
  let next = 0;
  const one = memory.upload(Float32Array.of(1), [1]);
  const [shares, differences, products] = [0, 1, 2].map(() => memory.allocate([rows, width])) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  /** Adds the term Σ 2 · shares · (a − b) of n elements. Shares are not negative, so the kernel is a product. */
  const addTerm = (a: Tensor, b: Tensor, n: number): void => {
    backend.run("combine", { a, b, y: differences, unreal: null, n, alpha: 1, beta: -1 });
    backend.run("relu2Backward", { x: shares, dy: differences, dx: products, n });
    backend.run("sum", { x: products, y: slice(terms, next++, [1]), n });
  };
  for (const range of ranges) {
    fill(range);
    for (const teacher of taught) {
      soft.probabilities(teacher, range, one, shares);
      addTerm(teacher.logits, student.logits, rows * range.columns);
    }
  }
  const zeros = memory.allocate([rows]);
  backend.run("fill", { y: zeros, n: rows, value: 0 });
  soft.counted(one, zeros, shares);
  for (const { logSumExp } of taught) addTerm(student.logSumExp, logSumExp, rows);
  for (const temporary of [zeros, shares, differences, products, one]) memory.release(temporary);
  return terms;
};
