/**
 * Index that an arrow key leads to in a list. It does not wrap around at the ends. Undefined for other keys.
 * @param at current index; -1: no item has the focus.
 */
export const placeAfter = (key: string, at: number, count: number): number | undefined => {
  if (key !== "ArrowDown" && key !== "ArrowUp") return undefined;
  return Math.max(0, Math.min(count - 1, at + (key === "ArrowDown" ? 1 : -1)));
};
