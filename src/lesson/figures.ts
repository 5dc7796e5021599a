/** Numbers in the form of lessons. */

/** A loss in nats, or in bits. */
export const nats = (loss: number): string => loss.toFixed(2);

/** As 1,234. */
export const count = (n: number): string => n.toLocaleString("en-US");

/** A share of 1, as 12.3%. */
export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)}%`;
