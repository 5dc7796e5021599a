/** The text of a file that is opened or dropped: as the commands read it (`src/data/utf8.ts`), so that a page learns the same one. */
import { otherKindOf } from "../../src/data/file-kind.ts";

/** A text, or why the file has none, in one line. */
export type OpenedText = { readonly text: string } | { readonly refused: string };

/** Undefined for bytes that are not UTF-8: they would be learned as signs that nobody wrote. A byte order mark is dropped. */
const decode = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
};

/** A line of a file from Windows ends with `\r\n`: that becomes `\n`. */
export const openText = async (file: File): Promise<OpenedText> => {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const text = decode(bytes);
  if (text === "") return { refused: `${file.name} is an empty file; choose another one.` };
  // No text has a character 0.
  if (text !== undefined && !text.includes("\0")) return { text: text.replaceAll("\r\n", "\n") };
  const kind = otherKindOf(bytes);
  if (kind === undefined)
    return { refused: `${file.name} is not UTF-8 text; save it as UTF-8, or choose another file.` };
  return { refused: `${file.name} is ${kind.got.replaceAll("'", "’")}; try ${kind.hint}.` };
};
