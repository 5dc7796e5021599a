/** Nonlinear least squares with few parameters: the Levenberg–Marquardt method with numerical derivatives. */

/** Solves a symmetric linear system by Gaussian elimination with partial pivoting. */
const solve = (matrix, right) => {
  const rows = matrix.map((row, i) => [...row, right[i]]);
  const size = rows.length;
  for (let i = 0; i < size; i++) {
    const pivot = rows
      .slice(i)
      .reduce((best, row, j) => (Math.abs(row[i]) > Math.abs(rows[best][i]) ? i + j : best), i);
    [rows[i], rows[pivot]] = [rows[pivot], rows[i]];
    for (let j = i + 1; j < size; j++) {
      const factor = rows[j][i] / rows[i][i];
      for (let k = i; k <= size; k++) rows[j][k] -= factor * rows[i][k];
    }
  }
  const x = Array(size).fill(0);
  for (let i = size - 1; i >= 0; i--) {
    const known = rows[i].slice(i + 1, size).reduce((sum, value, j) => sum + value * x[i + 1 + j], 0);
    x[i] = (rows[i][size] - known) / rows[i][i];
  }
  return x;
};

const squares = (values) => values.reduce((sum, value) => sum + value * value, 0);

/**
 * Finds a few positive parameters that minimise the sum of squared residuals. The search uses the logarithms of the
 * parameters.
 * @param {(x: readonly number[]) => readonly number[]} residuals
 * @param {readonly number[]} start
 */
export const fitLogarithms = (residuals, start) => {
  const [step, steps, furthest] = [1e-5, 400, 25];
  let x = [...start];
  let now = residuals(x);
  let damping = 1e-2;
  for (let i = 0; i < steps && damping < 1e12; i++) {
    // One column for each parameter: the derivatives of the residuals.
    const columns = x.map((_, j) => {
      const moved = residuals(x.map((value, k) => (k === j ? value + step : value)));
      return moved.map((value, k) => (value - now[k]) / step);
    });
    const dot = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);
    const matrix = columns.map((a, j) =>
      columns.map((b, k) => dot(a, b) + (j === k ? damping * (dot(a, a) + 1e-6) : 0)),
    );
    const change = solve(
      matrix,
      columns.map((column) => -dot(column, now)),
    );
    // A parameter without effect does not change.
    const next = x.map((value, j) => Math.min(start[j] + furthest, Math.max(start[j] - furthest, value + change[j])));
    const then = residuals(next);
    if (squares(then) < squares(now)) {
      const gained = squares(now) - squares(then);
      [x, now] = [next, then];
      damping = Math.max(1e-9, damping / 3);
      if (gained < 1e-12 * squares(now)) break;
    } else damping *= 4;
  }
  return { x, cost: squares(now) };
};
