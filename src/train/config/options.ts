import { z } from "zod";
import { checkBackendChoice, checkCallback, checkOptions, checkSignal } from "../../core/check-arguments.ts";
import { parseConfig } from "../../core/config.ts";
import { ConfigError } from "../../core/errors.ts";
import { nonfiniteActions } from "./config.ts";

const running = {
  // Checked when it is opened, before anything is written.
  backend: z.unknown().optional(),
  threads: z.int().min(1).max(256).optional(),
  stopAt: z.int().positive().optional(),
  keepLast: z.int().positive().optional(),
  profile: z.boolean().optional(),
  availableMemory: z.number().positive().optional(),
  memoryCheck: z.boolean().optional(),
  signal: z.unknown().optional(),
  onNotice: z.unknown().optional(),
};

const newRunSchema = z.strictObject({
  ...running,
  data: z.string().min(1).optional(),
  valData: z.string().min(1).optional(),
  valFraction: z.number().gt(0).lt(1).optional(),
  preset: z.string().optional(),
  // Checked after it is merged with the preset.
  config: z.unknown().optional(),
  out: z.string().min(1).nullable().optional(),
  finalSampleTokens: z.int().min(0).optional(),
});

/** New places of the same text. */
const moved = { data: z.string().min(1).optional(), valData: z.string().min(1).optional() };

const resumedRunSchema = z.strictObject({
  ...running,
  ...moved,
  resume: z.string().min(1),
  onNonfinite: z.enum(nonfiniteActions).optional(),
});

/** An option's own name, without the parent's. */
const optionName = (path: readonly string[]): string => {
  const [name = ""] = path;
  return name in newRunSchema.shape || name in resumedRunSchema.shape ? path.join(".") : "train";
};

/**
 * Checks the options of `train`, except the preset, the config and the backend.
 * @throws ConfigError naming the first bad, unknown or contradictory option.
 */
export const checkTrainOptions = (options: object): void => {
  checkOptions("train: options", options);
  const { backend, signal, onNotice } = options as Readonly<Record<string, unknown>>;
  checkBackendChoice("train: backend", backend);
  checkSignal("train: signal", signal);
  checkCallback("train: onNotice", onNotice);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  if (given.resume === undefined) {
    parseConfig(newRunSchema, given, optionName);
    if (given.valData !== undefined && given.valFraction !== undefined) {
      throw new ConfigError({
        where: "valData and valFraction",
        must: "only one of them may say what is held out",
        got: "both",
        hint: "one of them",
      });
    }
    return;
  }
  const other = Object.keys(given).find((key) => key in newRunSchema.shape && !(key in resumedRunSchema.shape));
  if (other !== undefined) {
    throw new ConfigError({
      where: "resume",
      must: "nothing that would change the run may be given with it",
      got: other,
      hint: `a new run, or resume with none but ${Object.keys(resumedRunSchema.shape)
        .filter((key) => key !== "resume")
        .join(", ")}`,
    });
  }
  parseConfig(resumedRunSchema, given, optionName);
};
