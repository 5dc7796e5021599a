import { z } from "zod";
import { runConfigSchema } from "../config/config.ts";
import { progressSchema } from "../run/progress.ts";

/** Which text a run reads, and how its resumption knows it again. */
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
  // Runs from before there was a choice kept the last one.
  keepLast: z.int().positive().default(1),
});

/** `trainer_state.json` */
export const stateSchema = z.strictObject({
  formatVersion: z.int().positive(),
  config: runConfigSchema,
  progress: progressSchema,
});
