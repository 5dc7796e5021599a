/**
 * Refuses texts that are not valid Unicode. Half of a surrogate pair would silently become another character in UTF-8.
 */
import { DataError } from "../core/errors/errors.ts";
import { loneSurrogateAt, wellFormedText } from "../core/text/surrogate.ts";
import { describeCharacter } from "./unknown.ts";

/**
 * Line, column and number of the character at UTF-16 index `index`. All three numbers count code points and begin at 1.
 */
export const position = (text: string, index: number): string => {
  let line = 1;
  let column = 1;
  let characters = 1;
  for (let at = 0; at < index; at++) {
    const codePoint = text.codePointAt(at) as number;
    if (codePoint > 0xffff) at++;
    characters++;
    column++;
    if (codePoint === 10) [line, column] = [line + 1, 1];
  }
  return `line ${line}, column ${column} (character ${characters})`;
};

/**
 * @param where name of `text` in the error.
 * @param before text that precedes `text`.
 * @throws DataError for half of a surrogate pair. The error lists the distinct halves in `characters`, so that the
 * caller can skip them.
 */
export const checkWellFormed = (where: string, text: string, before = ""): void => {
  const index = loneSurrogateAt(text);
  if (index === -1) return;
  throw new DataError({
    where,
    must: `text ${wellFormedText}`,
    got: `half of a surrogate pair, ${describeCharacter(text.charCodeAt(index))}, at ${position(before + text, before.length + index)}`,
    characters: [...new Set(text.match(/\p{Surrogate}/gu))],
  });
};
