/** Recognises a pasted text that is a list of conversations or documents: one JSON object on each line. */

const isDocument = (line: string): boolean => {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null) return false;
    const has = (key: string): boolean => Object.hasOwn(value, key);
    return has("messages") || has("conversations") || has("text") || (has("prompt") && has("completion"));
  } catch {
    return false;
  }
};

/** The first lines that are not blank, at most `most`. */
const firstLines = (text: string, most: number): readonly string[] => {
  const lines: string[] = [];
  for (let from = 0; from < text.length && lines.length < most; ) {
    const found = text.indexOf("\n", from);
    const end = found === -1 ? text.length : found;
    const line = text.slice(from, end).trim();
    if (line !== "") lines.push(line);
    from = end + 1;
  }
  return lines;
};

/** Whether the first two lines are documents. A file of documents is read completely only by the server. */
export const looksLikeDocuments = (text: string): boolean => {
  // Most texts do not begin with a brace, so their lines are not read.
  if (!/^\s*\{/u.test(text)) return false;
  const lines = firstLines(text, 2);
  return lines.length > 0 && lines.every(isDocument);
};
