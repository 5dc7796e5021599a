/** Formats of numbers in lessons. */

/** Formats a loss in nats or bits. */
export const nats = (loss: number): string => loss.toFixed(2);

/** As 1,234. */
export const count = (n: number): string => n.toLocaleString("en-US");

/** Formats a share of 1 as a percentage, for example 12.3%. */
export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)}%`;
