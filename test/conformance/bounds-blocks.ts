import { blocks } from "#foretoken/backend/implementations/reference/blocks.js";
import { blockForms, panelPlaces, panelRows } from "#foretoken/backend/kernels/block-forms.js";
import { at, type Bounds, magnitudes, maybeMagnitudes, scaled, sumError, type Tolerance } from "./bounds.ts";

const exact: Tolerance = () => 0;

/**
 * The panels with 0 for all values. The product is then only the part that does not depend on the values: minus offset
 * · scale, or the minimum.
 */
const withoutValues = (w: Int32Array, form: number, n: number, k: number): Int32Array => {
  const cleared = w.slice();
  const { bytes, scalesFrom } = panelPlaces(blockForms[form] as (typeof blockForms)[number], k);
  for (let panel = 0; panel < Math.ceil(n / panelRows); panel++)
    cleared.fill(0, (panel * bytes) / 4, (panel * bytes + scalesFrom) / 4);
  return cleared;
};

export const blockBounds: Bounds<"blocksPack" | "blocksRows" | "blocksLinearForward"> = {
  blocksPack: () => ({ y: exact }),
  blocksRows: () => ({ y: exact }),

  // A block adds two terms: the term of the values and the term of the minimum. In each term, the product of the scales
  // is rounded. The two terms may cancel.
  blocksLinearForward: ({ x, w, bias, addend, y, m, n, k, yStride, form }) => {
    const rows = (from: Int32Array): Float64Array => {
      const to = new Float64Array(n * k);
      blocks.blocksRows({ w: from, ids: null, y: to, rows: n, n, k, first: 0, form });
      return magnitudes(to);
    };
    const weights = rows(w);
    const rest = rows(withoutValues(w, form, n, k));
    for (let i = 0; i < weights.length; i++) weights[i] = at(weights, i) + 2 * at(rest, i);
    const sizes = new Float64Array(y.length);
    const [biases, addends] = [maybeMagnitudes(bias), maybeMagnitudes(addend)];
    for (let i = 0; i < m; i++) {
      const row = magnitudes(x.subarray(i * k, (i + 1) * k));
      // Rounding to 8 bits may increase a value by half a step.
      for (let block = 0; block < k; block += 32) {
        const most = row.subarray(block, block + 32).reduce((largest, value) => Math.max(largest, value), 0);
        for (let c = block; c < block + 32; c++) row[c] = at(row, c) + most / 127;
      }
      for (let j = 0; j < n; j++) {
        let sum = (biases === null ? 0 : at(biases, j)) + (addends === null ? 0 : at(addends, i * yStride + j));
        for (let c = 0; c < k; c++) sum += at(row, c) * at(weights, j * k + c);
        sizes[i * yStride + j] = sum;
      }
    }
    return { y: scaled(sumError(k / 16 + 8), sizes) };
  },
};
