/** Character in a box. White space is shown as a sign. */
import { visible } from "../tokens/surprise.ts";

export const Character = ({ text, look = "" }: { readonly text: string; readonly look?: string }) => (
  <span class={look === "" ? "cell" : `cell ${look}`}>{visible(text)}</span>
);

/** Characters on one line. If there are too many characters, only the last characters are shown. */
export const lineOf = (characters: readonly string[], most = 40): string => {
  const cut = characters.length > most;
  return `${cut ? "…" : ""}${visible((cut ? characters.slice(1 - most) : characters).join(""))}`;
};
