/** Files that are not texts, by their first bytes. Nothing is imported here: the studio's page bundles this file. */

/** A kind of file that people take for a text. */
export interface OtherKind {
  /** Its first bytes. */
  readonly first: readonly number[];
  /** For "got …". */
  readonly got: string;
  /** For "try …". */
  readonly hint: string;
}

const save = "to save it as plain text (UTF-8)";
const another = "a text file (UTF-8)";
const otherKinds: readonly OtherKind[] = [
  { first: [0x50, 0x4b, 3, 4], got: "a zip file, as Word's .docx are", hint: save },
  { first: [0xd0, 0xcf, 0x11, 0xe0], got: "a file of an old Office program, as Word's .doc are", hint: save },
  { first: [0x25, 0x50, 0x44, 0x46], got: "a PDF file", hint: save },
  { first: [0x89, 0x50, 0x4e, 0x47], got: "an image (PNG)", hint: another },
  { first: [0xff, 0xd8, 0xff], got: "an image (JPEG)", hint: another },
];

/** The kind of a file that is not a text; undefined: none of these. */
export const otherKindOf = (bytes: Uint8Array): OtherKind | undefined =>
  otherKinds.find(({ first }) => first.every((byte, at) => bytes[at] === byte));
