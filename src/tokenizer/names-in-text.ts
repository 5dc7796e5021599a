/** Finds names of tokens in a text. At each position, it takes the longest name that begins there. */

/** A part of a text: ordinary text, or the name of a token. */
export interface Stretch {
  readonly text: string;
  /** Id of the token with this name. Undefined for ordinary text. */
  readonly id: number | undefined;
}

/** Divides a text into parts. No part is empty. */
export type NameFinder = (text: string) => Iterable<Stretch>;

const escaped = (name: string): string => name.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

export const nameFinder = (names: readonly { readonly id: number; readonly name: string }[]): NameFinder => {
  const ids = new Map(names.map(({ id, name }) => [name, id]));
  const longestFirst = [...ids.keys()].filter((name) => name !== "").sort((a, b) => b.length - a.length);
  if (longestFirst.length === 0) return (text) => (text === "" ? [] : [{ text, id: undefined }]);
  const pattern = new RegExp(longestFirst.map(escaped).join("|"), "gu");
  return function* (text) {
    let from = 0;
    for (const match of text.matchAll(pattern)) {
      const [name] = match;
      if (match.index > from) yield { text: text.slice(from, match.index), id: undefined };
      yield { text: name, id: ids.get(name) };
      from = match.index + name.length;
    }
    if (from < text.length) yield { text: text.slice(from), id: undefined };
  };
};
