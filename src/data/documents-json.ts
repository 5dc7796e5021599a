/** Reads files of documents: one JSON document per line. */

import { type JsonLimits, parseJson } from "../core/checks/json.ts";
import { DataError } from "../core/errors/errors.ts";
import type { LocatedDocument, SourceDocument } from "./documents.ts";
import { documentOf } from "./parse-document.ts";

/** Limits for the JSON of a line. A line is a conversation. The keys of its objects may be any data. */
const lineLimits: JsonLimits = {
  maxBytes: 2 ** 24,
  maxValues: 2 ** 18,
  maxKeys: 2 ** 17,
  what: "the line",
  anyKey: true,
};

/**
 * Reads the documents in the text of a file, one document per line. Blank lines are skipped.
 * @param where name of the file, for errors; errors add the line number.
 * @throws DataError for a line that is not a document, or a file without documents.
 */
export const documentsOfText = (text: string, where: string): readonly LocatedDocument[] => {
  const encoder = new TextEncoder();
  const documents: LocatedDocument[] = [];
  let number = 0;
  for (let from = 0; from < text.length; ) {
    const found = text.indexOf("\n", from);
    const end = found === -1 ? text.length : found;
    const line = text.slice(from, end);
    from = end + 1;
    number++;
    if (line.trim() === "") continue;
    const place = `${where}:${number}`;
    const json = parseJson(
      encoder.encode(line),
      lineLimits,
      (fault) => new DataError({ where: place, ...fault, hint: "one document on each line" }),
    );
    documents.push({ where: place, source: documentOf(json, place) });
  }
  if (documents.length === 0) {
    throw new DataError({ where, must: "the file must have at least one document, as a line of JSON", got: "none" });
  }
  return documents;
};

/** A document as a line of JSON in a fixed form. Documents with equal content become equal lines. */
export const lineOfDocument = (source: SourceDocument): string => {
  if (source.kind === "text") return JSON.stringify({ text: source.text });
  const messages = source.messages.map(({ role, content, counted }) => ({
    role,
    content,
    ...(role === "assistant" && !counted ? { weight: 0 } : {}),
  }));
  return JSON.stringify({ messages });
};
