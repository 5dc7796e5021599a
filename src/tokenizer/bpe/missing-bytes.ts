/**
 * Finds bytes without a token. A byte-level vocabulary may lack a token for bytes that were not in its training text.
 * An example is the vocabulary of SmolLM2. Other programs silently drop such bytes.
 */
import { DataError } from "../../core/errors/errors.ts";
import { describeCharacters } from "../unknown.ts";

/** Marks a byte without a token. */
export const noToken = -1;

/**
 * Makes a check of texts, or returns undefined if every byte has a token.
 * @returns a function that throws a DataError if a text has a byte without a token. The error names all unknown
 * characters.
 */
export const missingBytesCheck = (idOfByte: Int32Array): ((text: string, where: string) => void) | undefined => {
  if (!idOfByte.includes(noToken)) return undefined;
  const encoder = new TextEncoder();
  const isUnknown = (character: string): boolean =>
    encoder.encode(character).some((byte) => idOfByte[byte] === noToken);
  return (text, where) => {
    const utf8 = encoder.encode(text);
    let known = 0;
    while (known < utf8.length && idOfByte[utf8[known] as number] !== noToken) known++;
    if (known === utf8.length) return;
    const characters = [...new Set(text)].filter(isUnknown);
    const must = "every character must have a token in the vocabulary";
    throw new DataError({ where, must, got: describeCharacters(characters), characters });
  };
};
