/** Maximum number of characters of a shortened text, without the ellipsis. */
const most = 60;

/** Beginning of a text in one line. A longer text ends after a word, with an ellipsis. */
export const shortened = (text: string): string => {
  const characters = [...text.replace(/\s+/gu, " ").trim()];
  if (characters.length <= most) return characters.join("");
  // If the next character is a space, the last word is complete.
  const beginning = characters.slice(0, most + 1).join("");
  const words = /^(.*\S)\s/u.exec(beginning)?.[1] ?? characters.slice(0, most).join("");
  return `${words.replace(/[\s,;:.–—-]+$/u, "")}…`;
};
