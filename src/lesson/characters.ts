/** Makes characters visible for lessons. */

/** Shows a text on one line. Line ends and tabs become visible signs. */
export const visibleText = (text: string): string =>
  text.replaceAll("\r\n", "↵").replaceAll("\n", "↵").replaceAll("\t", "⇥");

/** Visible form of one character. A space becomes a sign, too. */
export const visibleCharacter = (character: string): string => (character === " " ? "␣" : visibleText(character));

/** Replaces a long run of line ends by the number of line ends. Otherwise the line ends would fill the screen. */
export const foldLineEnds = (text: string): string =>
  text.replaceAll(/\n{3,}/gu, (run) => `\n${visibleText("\n")} × ${run.length}\n`);

/** Last characters of a context, at most `most` characters. An ellipsis shows that the context is cut. */
export const contextEnd = (characters: readonly string[], most: number): string => {
  const cut = characters.length > most;
  return `${cut ? "…" : ""}${visibleText((cut ? characters.slice(1 - most) : characters).join(""))}`;
};
