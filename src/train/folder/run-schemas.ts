import { z } from "zod";
import { runConfigSchema } from "../config/config.ts";
import { progressSchema } from "../run/progress.ts";

/** The text of a run, and the hash by which a resumption recognises it. */
const dataSchema = z.strictObject({
  data: z.string(),
  valData: z.string().nullable(),
  valFraction: z.number(),
  name: z.string(),
  sha256: z.string(),
  prompt: z.string(),
  finalSampleTokens: z.int().min(0),
});
export type RunData = z.infer<typeof dataSchema>;

/** `run.json` */
export const descriptionSchema = z.strictObject({
  formatVersion: z.int().positive(),
  config: runConfigSchema,
  data: dataSchema,
  // Runs of earlier versions kept the last one.
  keepLast: z.int().positive().default(1),
});

/** `trainer_state.json` */
export const stateSchema = z.strictObject({
  formatVersion: z.int().positive(),
  config: runConfigSchema,
  progress: progressSchema,
});
