/** The tokens that the lens shows at a time. */

const most = 16;

/** The page with token `at` of `time`: the last page ends with the text, so that it is full. */
export const lensPage = (at: number, time: number): { readonly from: number; readonly to: number } => {
  const to = time - Math.floor((time - 1 - at) / most) * most;
  return { from: Math.max(0, to - most), to };
};
