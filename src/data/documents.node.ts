/** Documents from disk or from memory, and a hash. A resumed run recognises its documents by this hash. */
import { createHash } from "node:crypto";
import { basename, resolve } from "node:path";
import { DataError } from "../core/errors/errors.ts";
import { corpusNames, isCorpusName } from "./corpora.node.ts";
import type { HeldOutOption } from "./corpus.ts";
import { type DocumentsSplit, type LocatedDocument, splitDocuments } from "./documents.ts";
import { documentsOfText, lineOfDocument } from "./documents-json.ts";
import { type GivenDocuments, locatedDocuments, promptOfDocuments } from "./given-documents.ts";
import { namesInFolder, readTextFiles } from "./text.node.ts";

/** Training and validation documents, and facts about their source. */
export interface DocumentsCorpus extends DocumentsSplit {
  /** Short name for display to users: the name of the file or folder. */
  readonly name: string;
  /** SHA-256 of both parts, hexadecimal. The hash depends on the documents and on the split. */
  readonly sha256: string;
  /** A prompt for samples: the first question of the validation conversations, or the opening words of a text. */
  readonly prompt: string;
  /** A notice of one line for the user, about skipped files. */
  readonly notice?: string;
}

const hasEnding = (name: string): boolean => /\.jsonl$/iu.test(name);

/** Whether `data` names documents: a `.jsonl` file, or a folder with only such files. */
export const hasDocuments = async (data: string): Promise<boolean> => {
  if (isCorpusName(data)) return false;
  const names = await namesInFolder(data);
  return names === undefined ? hasEnding(data) : names.length > 0 && names.every(hasEnding);
};

const hashOf = ({ train, val }: DocumentsSplit): string => {
  const hash = createHash("sha256").update("documents\n");
  for (const [i, part] of [train, val].entries()) {
    if (i > 0) hash.update("\0");
    for (const { source } of part) hash.update(`${lineOfDocument(source)}\n`);
  }
  return hash.digest("hex");
};

interface Found {
  readonly documents: readonly LocatedDocument[];
  readonly notice?: string | undefined;
}

const corpusOf = (
  name: string,
  found: Found,
  held: Found | undefined,
  valFraction: number | undefined,
  heldOut: HeldOutOption,
): DocumentsCorpus => {
  const split =
    held === undefined
      ? splitDocuments(found.documents, name, valFraction, heldOut)
      : { train: found.documents, val: held.documents };
  const notices = [found.notice, held?.notice].filter((line) => line !== undefined);
  return {
    ...split,
    ...{ name, sha256: hashOf(split), prompt: promptOfDocuments(split) },
    ...(notices.length === 0 ? {} : { notice: notices.join("; ") }),
  };
};

/** Reads all documents at a path. @throws DataError for a line that is not a document. */
export const readDocuments = async (path: string): Promise<Found> => {
  const { files, notice } = await readTextFiles(path, /[./\\]/u.test(path) ? [] : corpusNames);
  return { documents: files.flatMap(({ path: where, text }) => documentsOfText(text, where)), notice };
};

/** Path of the documents, and the settings of the validation part. */
export interface DocumentsOptions {
  readonly valData?: string | undefined;
  readonly valFraction?: number | undefined;
}

/**
 * Loads the documents of a `.jsonl` file, or of a folder of such files.
 * @throws DataError for a line that is not a document, or for a `valData` without documents.
 */
export const loadDocuments = async (
  path: string,
  { valData, valFraction }: DocumentsOptions,
): Promise<DocumentsCorpus> => {
  if (valData !== undefined && !(await hasDocuments(valData))) {
    throw new DataError({
      where: valData,
      must: "validation documents must be .jsonl files, like the training documents",
      got: "a text",
      hint: "a .jsonl file",
    });
  }
  const held = valData === undefined ? undefined : await readDocuments(valData);
  return corpusOf(basename(resolve(path)), await readDocuments(path), held, valFraction, "valData");
};

/** Makes a corpus of documents in memory. */
export const givenDocuments = ({ documents, valDocuments }: GivenDocuments, valFraction?: number): DocumentsCorpus =>
  corpusOf(
    "documents",
    { documents: locatedDocuments(documents, "documents") },
    valDocuments === undefined ? undefined : { documents: locatedDocuments(valDocuments, "valDocuments") },
    valFraction,
    "valDocuments",
  );
