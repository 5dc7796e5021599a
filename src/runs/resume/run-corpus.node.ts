import { CheckpointError, DataError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { readRegularFile, UnreadableFileError } from "../../core/system/regular-file.node.ts";
import { givenCorpus, loadCorpus } from "../../data/corpora.node.ts";
import { loadDocuments } from "../../data/documents.node.ts";
import { maxTextBytes } from "../../data/utf8.ts";
import type { RunCorpus } from "../begin/data.node.ts";
import type { RunData } from "../run-schemas.ts";

/** New paths of a run's text, if it was moved. */
export interface MovedText {
  readonly data?: string | undefined;
  readonly valData?: string | undefined;
}

/** Maximum size in bytes of a UTF-8 text that the run's folder keeps. */
const maxKeptBytes = 3 * maxTextBytes;

/**
 * Reads a text from the run's folder exactly as the user gave it, including its line ends. @throws DataError if the
 * text cannot be read.
 */
const keptText = async (path: string): Promise<string> => {
  const bytes = await readRegularFile(path, { maxBytes: maxKeptBytes }).catch((cause: unknown) => {
    const code = systemErrorCode(cause);
    const refused = cause instanceof UnreadableFileError ? cause.got : (code ?? String(cause));
    throw new DataError({
      where: path,
      must: "the run's text must be a readable file",
      got: code === "ENOENT" ? "nothing there" : refused,
      hint: "--data with a copy of it",
      cause,
    });
  });
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
};

const load = async (run: RunData, moved: MovedText): Promise<RunCorpus> => {
  const { kept, data, valData, valFraction, documents } = run;
  const heldOut = "valData";
  if (documents === true) {
    const held = { valData: moved.valData ?? valData ?? undefined, valFraction };
    return { kind: "documents", heldOut, corpus: await loadDocuments(moved.data ?? data, held) };
  }
  if (kept !== true || moved.data !== undefined || moved.valData !== undefined) {
    const held = { valData: moved.valData ?? valData ?? undefined, valFraction };
    return { kind: "text", heldOut, corpus: await loadCorpus(moved.data ?? data, held) };
  }
  const valText = valData === null ? undefined : await keptText(valData);
  return { kind: "text", heldOut, corpus: givenCorpus({ text: await keptText(data), valText }, valFraction) };
};

/**
 * Reads the text or documents with which the run began, and splits them at the same position.
 * @throws DataError if they cannot be read; CheckpointError if they have changed.
 */
export const loadRunCorpus = async (run: RunData, moved: MovedText = {}): Promise<RunCorpus> => {
  const { sha256, kept } = run;
  const data = moved.data ?? run.data;
  const found = await load(run, moved).catch((error: unknown) => {
    if (!(error instanceof DataError) || moved.data !== undefined || kept === true) throw error;
    const hint = "--data with its new path";
    throw new DataError({ ...error.details, hint, cause: error });
  });
  if (found.corpus.sha256 !== sha256) {
    throw new CheckpointError({
      where: data,
      must: `the ${run.documents === true ? "documents must be the ones" : "text must be the one"} that the run began with`,
      got: `${run.documents === true ? "others (their" : "another one (its"} SHA-256 differs)`,
      hint: `restoring ${run.documents === true ? "them; for others" : "it; for another text"}, a new run with initFrom`,
    });
  }
  return found;
};
