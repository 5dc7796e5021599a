/**
 * Index to which an arrow key moves in a list. At an end of the list, the index does not change. Undefined for other
 * keys.
 * @param at current index; -1 if no item has the focus.
 */
export const placeAfter = (key: string, at: number, count: number): number | undefined => {
  if (key !== "ArrowDown" && key !== "ArrowUp") return undefined;
  return Math.max(0, Math.min(count - 1, at + (key === "ArrowDown" ? 1 : -1)));
};
