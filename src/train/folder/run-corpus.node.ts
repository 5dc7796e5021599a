import { CheckpointError, DataError } from "../../core/errors.ts";
import { type LoadedCorpus, loadCorpus } from "../../data/corpora.node.ts";
import type { RunData } from "./run-schemas.ts";

/** New places of a run's text, if it was moved. */
export interface MovedText {
  readonly data?: string | undefined;
  readonly valData?: string | undefined;
}

/**
 * The text of the run's beginning, split in the same place.
 * @throws DataError if it cannot be read, CheckpointError if it is another text by now.
 */
export const loadRunCorpus = async (
  { data: before, valData: valBefore, valFraction, sha256 }: RunData,
  moved: MovedText = {},
): Promise<LoadedCorpus> => {
  const data = moved.data ?? before;
  const valData = moved.valData ?? valBefore ?? undefined;
  const corpus = await loadCorpus(data, { valData, valFraction }).catch((error: unknown) => {
    if (!(error instanceof DataError) || moved.data !== undefined) throw error;
    const hint = "--data with the path that it has now";
    throw new DataError({ ...error.details, hint, cause: error });
  });
  if (corpus.sha256 !== sha256) {
    throw new CheckpointError({
      where: data,
      must: "the text must be the one that the run began with",
      got: "another one (its SHA-256 differs)",
      hint: "restoring it",
    });
  }
  return corpus;
};
