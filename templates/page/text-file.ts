// The text of a file. The page reads it in the same way as foretoken's commands, so that both learn the same text.

import type { Message } from "./messages.ts";

/** The text of a file, or a message that says why the file cannot be used. */
export type FileText = { readonly text: string } | { readonly wrong: Message };

const zip = [0x50, 0x4b, 3, 4];

/**
 * Decodes UTF-8 and removes a byte order mark. Returns undefined if the bytes are not UTF-8. Otherwise the model would
 * learn wrong characters.
 */
const decode = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
};

/** Reads the text of a file. Windows line ends, `\r\n`, become `\n`. */
export const textOfFile = (bytes: Uint8Array, name: string): FileText => {
  if (zip.every((byte, at) => bytes[at] === byte)) {
    return { wrong: { title: `${name} is a zip file, such as a Word .docx.`, text: "Save it as plain text (UTF-8)." } };
  }
  const text = decode(bytes);
  // A text never contains the character 0.
  if (text === undefined || text.includes("\0")) {
    return { wrong: { title: `${name} is not a text in UTF-8.`, text: "Save it as UTF-8, or choose another file." } };
  }
  return { text: text.replaceAll("\r\n", "\n") };
};
