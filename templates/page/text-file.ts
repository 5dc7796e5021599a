// The text of a file, as the commands of foretoken read it: so the page learns the same one.
import type { Message } from "./messages.ts";

/** The text, or what is wrong with the file. */
export type FileText = { readonly text: string } | { readonly wrong: Message };

const zip = [0x50, 0x4b, 3, 4];

/** Undefined for bytes that are not UTF-8: they would be learned as signs that nobody wrote. A byte order mark is dropped. */
const decode = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
};

/** A line of a file from Windows ends with `\r\n`: that becomes `\n`. */
export const textOfFile = (bytes: Uint8Array, name: string): FileText => {
  if (zip.every((byte, at) => bytes[at] === byte)) {
    return { wrong: { title: `${name} is a zip file, as Word’s .docx are.`, text: "Save it as plain text (UTF-8)." } };
  }
  const text = decode(bytes);
  // No text has a character 0.
  if (text === undefined || text.includes("\0")) {
    return { wrong: { title: `${name} is not a text in UTF-8.`, text: "Save it as UTF-8, or choose another file." } };
  }
  return { text: text.replaceAll("\r\n", "\n") };
};
