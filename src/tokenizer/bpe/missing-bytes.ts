/**
 * Bytes without a token. A byte-level vocabulary that was learned without all 256 bytes, as SmolLM2's, lacks some that no
 * text of its training had. Other programs leave such bytes out without a word.
 */
import { DataError } from "../../core/errors/errors.ts";
import { describeCharacters } from "../unknown.ts";

/** In place of a token's id. */
export const noToken = -1;

/**
 * A check of texts, or undefined where every byte has a token.
 * @returns a function that throws a DataError, naming all unknown characters, for a text with a byte that has no token.
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
