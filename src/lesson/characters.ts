/** Visible forms of characters for lessons. */

/** Text in one line: line ends and tabs as signs. */
export const visibleText = (text: string): string =>
  text.replaceAll("\r\n", "↵").replaceAll("\n", "↵").replaceAll("\t", "⇥");

/** A single character: a space is a sign, too. */
export const visibleCharacter = (character: string): string => (character === " " ? "␣" : visibleText(character));

/** A text with long runs of line ends counted instead of shown: they would push the rest off the screen. */
export const foldLineEnds = (text: string): string =>
  text.replaceAll(/\n{3,}/gu, (run) => `\n${visibleText("\n")} × ${run.length}\n`);

/** The end of a context in at most `most` characters, with an ellipsis if it is cut. */
export const contextEnd = (characters: readonly string[], most: number): string => {
  const cut = characters.length > most;
  return `${cut ? "…" : ""}${visibleText((cut ? characters.slice(1 - most) : characters).join(""))}`;
};
