/**
 * Text of an opened or dropped file. The page reads the file in the same way as the commands (`src/data/utf8.ts`), so
 * that both learn the same text.
 */
import { otherKindOf } from "../../src/data/file-kind.ts";

/** A text, or the reason in one line why the file has no text. */
export type OpenedText = { readonly text: string } | { readonly refused: string };

/**
 * Decodes UTF-8 and removes a byte order mark. Returns undefined for other bytes. Otherwise the model would learn
 * replacement characters that nobody wrote.
 */
const decode = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
};

/** Converts `\r\n`, the line end of Windows files, to `\n`. */
export const openText = async (file: File): Promise<OpenedText> => {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const text = decode(bytes);
  if (text === "") return { refused: `${file.name} is an empty file; choose another file.` };
  // A text never contains U+0000.
  if (text !== undefined && !text.includes("\0")) return { text: text.replaceAll("\r\n", "\n") };
  const kind = otherKindOf(bytes);
  if (kind === undefined)
    return { refused: `${file.name} is not UTF-8 text; save it as UTF-8, or choose another file.` };
  return { refused: `${file.name} is ${kind.got.replaceAll("'", "’")}; try ${kind.hint}.` };
};
