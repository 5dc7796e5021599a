/**
 * Maximum length of a word that may be a mistyped name. This maximum also limits the time of the search, which grows
 * with the product of the lengths of both words.
 */
const longestWord = 64;
/** No list of names is this long. */
const mostNames = 500;

/** Number of edits (insert, delete, replace, swap of neighbours) between two words. */
const editDistance = (a: string, b: string): number => {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => {
    const row = new Array<number>(b.length + 1).fill(0);
    row[0] = i;
    return row;
  });
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let j = 0; j <= b.length; j++) (rows[0] as number[])[j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY;
      (rows[i] as number[])[j] = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, replaced, swapped);
    }
  }
  return at(a.length, b.length);
};

/**
 * Maximum number of edits between a name and a mistyped form of it. If all names need more edits, the user meant
 * something else.
 */
export const mostEdits = (word: string): number => Math.max(2, Math.floor(0.4 * word.length));

/** Number of equal characters at the beginning. */
const commonStart = (a: string, b: string): number => {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
};

/**
 * The name that is most similar to `word`, for "try …" after a typing error. Of equally similar names, the one with the
 * longest common beginning. Undefined if there are no names, or if the
 * word is too long to be mistyped. The time of the search is limited for any word.
 * @param farthest maximum number of edits between `word` and the name.
 */
export const nearest = (
  word: string,
  names: readonly string[],
  farthest = Number.POSITIVE_INFINITY,
): string | undefined => {
  if (word.length > longestWord || names.length > mostNames) return undefined;
  let best: string | undefined;
  let [least, longest] = [farthest + 1, -1];
  for (const name of names) {
    if (name.length > longestWord) continue;
    const [given, known] = [word.toLowerCase(), name.toLowerCase()];
    const distance = editDistance(given, known);
    if (distance > least || distance > farthest) continue;
    const start = commonStart(given, known);
    if (distance < least || start > longest) [best, least, longest] = [name, distance, start];
  }
  return best;
};
