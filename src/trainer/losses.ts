/**
 * Losses of a pass, or of a step: the cross-entropy of the text and, with teachers, the divergence from the teachers
 * (ops/distillation.ts).
 */
export type Losses = readonly number[];

/** Losses of a pass without tokens. */
export const noLosses = (hasTeachers: boolean): Losses => (hasTeachers ? [0, 0] : [0]);

/** Adds the losses of two branches of the tree of passes. */
export const addLosses = (one: Losses, other: Losses): Losses => one.map((loss, i) => loss + (other[i] as number));
