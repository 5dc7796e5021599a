/** A character in a box, white space by a sign. */
import { visible } from "../tokens/surprise.ts";

export const Character = ({ text, look = "" }: { readonly text: string; readonly look?: string }) => (
  <span class={look === "" ? "cell" : `cell ${look}`}>{visible(text)}</span>
);

/** Characters in one line, the last ones where there are many. */
export const lineOf = (characters: readonly string[], most = 40): string => {
  const cut = characters.length > most;
  return `${cut ? "…" : ""}${visible((cut ? characters.slice(1 - most) : characters).join(""))}`;
};
