/** Reads the data of a run. The options name files with the data, or contain the data. */
import { givenCorpus, type LoadedCorpus, loadCorpus } from "../../data/corpora.node.ts";
import type { HeldOutOption } from "../../data/corpus.ts";
import { type DocumentsCorpus, givenDocuments, hasDocuments, loadDocuments } from "../../data/documents.node.ts";
import type { GivenDocuments } from "../../data/given-documents.ts";
import type { GivenText } from "../../data/given-text.ts";
import type { GivenData } from "../run-schemas.ts";

/** A run's text or documents, and the name of the option that sets the validation part. */
export type RunCorpus = { readonly heldOut: HeldOutOption } & (
  | { readonly kind: "text"; readonly corpus: LoadedCorpus }
  | { readonly kind: "documents"; readonly corpus: DocumentsCorpus }
);

/** The options that name data on disk, or contain the data. */
export interface DataOptions {
  readonly text?: GivenText["text"] | undefined;
  readonly valText?: GivenText["valText"];
  readonly documents?: GivenDocuments["documents"] | undefined;
  readonly valDocuments?: GivenDocuments["valDocuments"];
  readonly data?: string | undefined;
  readonly valData?: string | undefined;
  readonly valFraction?: number | undefined;
}

/** The data that a program passes as values; undefined if the data is on disk. */
export const givenData = ({ text, valText, documents, valDocuments }: DataOptions): GivenData | undefined => {
  if (documents !== undefined) return { documents, valDocuments };
  return text === undefined ? undefined : { text, valText };
};

/** @param given the result of `givenData`. */
export const loadData = async (
  given: GivenData | undefined,
  { data, valData, valFraction }: DataOptions,
): Promise<RunCorpus> => {
  if (given !== undefined) {
    return "documents" in given
      ? { kind: "documents", heldOut: "valDocuments", corpus: givenDocuments(given, valFraction) }
      : { kind: "text", heldOut: "valText", corpus: givenCorpus(given, valFraction) };
  }
  return data !== undefined && (await hasDocuments(data))
    ? { kind: "documents", heldOut: "valData", corpus: await loadDocuments(data, { valData, valFraction }) }
    : { kind: "text", heldOut: "valData", corpus: await loadCorpus(data, { valData, valFraction }) };
};
