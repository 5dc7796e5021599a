/**
 * Recognises files that are not texts by their first bytes. This file must not import other files, because the studio's
 * page bundles it.
 */

/** A kind of file that users often mistake for a text. */
export interface OtherKind {
  /** First bytes of such a file. */
  readonly first: readonly number[];
  /** For "got …". */
  readonly got: string;
  /** For "try …". */
  readonly hint: string;
}

const save = "to save it as plain text (UTF-8)";
const another = "a text file (UTF-8)";
const otherKinds: readonly OtherKind[] = [
  { first: [0x50, 0x4b, 3, 4], got: "a zip file, such as Word's .docx", hint: save },
  { first: [0xd0, 0xcf, 0x11, 0xe0], got: "a file of an old Office program, such as Word's .doc", hint: save },
  { first: [0x25, 0x50, 0x44, 0x46], got: "a PDF file", hint: save },
  { first: [0x89, 0x50, 0x4e, 0x47], got: "an image (PNG)", hint: another },
  { first: [0xff, 0xd8, 0xff], got: "an image (JPEG)", hint: another },
];

/** The kind of a file that is not a text. Undefined if the kind is unknown. */
export const otherKindOf = (bytes: Uint8Array): OtherKind | undefined =>
  otherKinds.find(({ first }) => first.every((byte, at) => bytes[at] === byte));
