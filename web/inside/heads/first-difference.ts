/** Finds the first place at which two texts differ. Later differences follow from the first, so they mean nothing. */

/** A text in three parts. The mark is empty if there is no difference. */
export interface Marked {
  readonly before: string;
  readonly mark: string;
  readonly after: string;
}

/**
 * Marks the first different word of each text. A character of several UTF-16 units is not divided.
 * @param isWriting whether the shorter text is still growing. Its end is then no difference.
 */
export const firstDifference = (a: string, b: string, isWriting: boolean): readonly [Marked, Marked] => {
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at++;
  if (at > 0 && /[\ud800-\udbff]/.test(a[at - 1] ?? "")) at--;
  const isOpen = isWriting && at === Math.min(a.length, b.length);
  const marked = (text: string): Marked => {
    const [mark = ""] = isOpen ? [] : (/^\s*\S*/u.exec(text.slice(at)) ?? []);
    return { before: text.slice(0, at), mark, after: text.slice(at + mark.length) };
  };
  return [marked(a), marked(b)];
};
