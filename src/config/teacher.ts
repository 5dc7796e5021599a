import { z } from "zod";

/**
 * How a run learns from other models, its teachers (Hinton, Vinyals & Dean 2015, arXiv:1503.02531). The loss is
 * (1 − weight) · cross-entropy of the text + weight · T² · KL(teachers ‖ model), with all softmaxes at the temperature T
 * in the second part.
 */
export const teacherConfigSchema = z.strictObject({
  weight: z
    .number()
    .gt(0)
    .max(1)
    .default(0.7)
    .describe("share of the teachers in the loss; the text has the rest; 1: only the teachers"),
  temperature: z
    .number()
    .min(0.1)
    .max(100)
    .default(1)
    .describe("the logits of teachers and model are divided by it before they are compared"),
});

// `node scripts/docs/config-docs.mjs` writes the docstrings of these fields from the schema, for editors.
/** How a model learns from other models, its teachers (Hinton, Vinyals & Dean 2015). */
export interface TeacherConfig {
  /**
   * Share of the teachers in the loss; the text has the rest; 1: only the teachers. Number above 0, at most 1. Default
   * 0.7.
   */
  readonly weight: number;
  /** The logits of teachers and model are divided by it before they are compared. Number from 0.1 to 100. Default 1. */
  readonly temperature: number;
}
