import { z } from "zod";
import { runConfigSchema } from "../config/config.ts";
import type { GivenDocuments } from "../data/given-documents.ts";
import type { GivenText } from "../data/given-text.ts";
import { folderNames } from "./folder-names.ts";
import { progressSchema } from "./progress.ts";

/** The weights that a run began with: their directory, and the hash of their file. */
const initialSchema = z.strictObject({
  path: z.string(),
  sha256: z.string(),
  /** Of adapters: whether matrices of their model stay in the blocks of 4 to 8 bits that its file has. Absent: they are widened. */
  blocks: z.literal(true).optional(),
});

/** The text of a run, and the hash by which a resumption recognises it; and its first weights. */
const dataSchema = z.strictObject({
  /** Whether `data` and `valData` name files in the run's folder, which have the texts that `train` was given. */
  kept: z.literal(true).optional(),
  data: z.string(),
  valData: z.string().nullable(),
  valFraction: z.number(),
  name: z.string(),
  sha256: z.string(),
  prompt: z.string(),
  finalSampleTokens: z.int().min(0),
  // Absent in a run that drew its weights.
  initFrom: initialSchema.optional(),
  // Absent in a run on a text.
  documents: z.literal(true).optional(),
  /** A chat template that was given, instead of the model's own. */
  chatTemplate: z.string().optional(),
});

/** Data that a program hands over, instead of a file. */
export type GivenData = GivenText | GivenDocuments;

/** The names of the files in which a run's folder keeps given data. */
export const keptNames = (isDocuments: boolean) =>
  isDocuments
    ? { data: folderNames.documents, valData: folderNames.valDocuments }
    : { data: folderNames.text, valData: folderNames.valText };

/** The data of a run that keeps it in its folder. */
export const keptPlaces = (given: GivenData) => {
  const isDocuments = "documents" in given;
  const { data, valData } = keptNames(isDocuments);
  const held = isDocuments ? given.valDocuments : given.valText;
  return { kept: true as const, data, valData: held === undefined ? null : valData };
};
export type RunData = z.infer<typeof dataSchema>;

/** `run.json` */
export const descriptionSchema = z.strictObject({
  formatVersion: z.int().positive(),
  config: runConfigSchema,
  data: dataSchema,
  keepLast: z.int().positive(),
});

/** `trainer_state.json` */
export const stateSchema = z.strictObject({
  formatVersion: z.int().positive(),
  config: runConfigSchema,
  progress: progressSchema,
});
