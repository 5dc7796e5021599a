import { CheckpointError } from "../../core/errors.ts";
import { type LoadedCorpus, loadCorpus } from "../../data/corpora.node.ts";
import type { RunData } from "./run-schemas.ts";

/**
 * The text that a run began with, split as then.
 * @throws DataError when it cannot be had, CheckpointError when it is another one by now.
 */
export const loadRunCorpus = async ({ data, valData, valFraction, sha256 }: RunData): Promise<LoadedCorpus> => {
  const corpus = await loadCorpus(data, { valData: valData ?? undefined, valFraction });
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
