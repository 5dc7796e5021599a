import { z } from "zod";
import { runConfigSchema } from "../config/config.ts";
import type { GivenDocuments } from "../data/given-documents.ts";
import type { GivenText } from "../data/given-text.ts";
import { folderNames } from "./folder-names.ts";
import { progressSchema } from "./progress.ts";

/** The initial weights of a run: their directory, and the hash of their file. */
const initialSchema = z.strictObject({
  path: z.string(),
  sha256: z.string(),
  /**
   * For adapters: whether the base model's matrices stay in their file's blocks of 4 to 8 bits. If absent, the matrices
   * are converted to float32.
   */
  blocks: z.literal(true).optional(),
});

/** The text of a run, its hash, and the initial weights. A resumed run recognises the text by its hash. */
const dataSchema = z.strictObject({
  /**
   * Whether `data` and `valData` name files in the run's folder. These files contain the texts that `train` got as
   * strings.
   */
  kept: z.literal(true).optional(),
  data: z.string(),
  valData: z.string().nullable(),
  valFraction: z.number(),
  name: z.string(),
  sha256: z.string(),
  prompt: z.string(),
  finalSampleTokens: z.int().min(0),
  // Absent if the weights were drawn at random.
  initFrom: initialSchema.optional(),
  /** The models that the run learns from, in order. Absent if it learns only from its text. */
  teachers: z
    .array(
      z.strictObject({
        path: z.string(),
        /** Hash of the weights. */
        sha256: z.string(),
        /** Hash of the configuration and the tokenizer. */
        configSha256: z.string(),
      }),
    )
    .min(1)
    .optional(),
  // Absent if the run trains on a text.
  documents: z.literal(true).optional(),
  /** A given chat template. The given template replaces the model's own template. */
  chatTemplate: z.string().optional(),
});

/** Data that a program passes as values instead of files. */
export type GivenData = GivenText | GivenDocuments;

/** Names of the files with given data in a run's folder. */
export const keptNames = (isDocuments: boolean) =>
  isDocuments
    ? { data: folderNames.documents, valData: folderNames.valDocuments }
    : { data: folderNames.text, valData: folderNames.valText };

/** Description of data that the run's folder keeps. */
export const keptPlaces = (given: GivenData) => {
  const isDocuments = "documents" in given;
  const { data, valData } = keptNames(isDocuments);
  const held = isDocuments ? given.valDocuments : given.valText;
  return { kept: true as const, data, valData: held === undefined ? null : valData };
};
export type RunData = z.infer<typeof dataSchema>;

/** Whether the validation text is the training text itself. Then the validation loss does not measure new text. */
export const isValTraining = ({ data, valData }: Pick<RunData, "data" | "valData">): boolean => valData === data;

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
