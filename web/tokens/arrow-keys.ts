/**
 * The place that an arrow key leads to in a list, which ends at both sides; undefined for another key.
 * @param at the place now; -1: none has the focus.
 */
export const placeAfter = (key: string, at: number, count: number): number | undefined => {
  if (key !== "ArrowDown" && key !== "ArrowUp") return undefined;
  return Math.max(0, Math.min(count - 1, at + (key === "ArrowDown" ? 1 : -1)));
};
