/** Splits advice of the server that ends with a command. */

/** Returns the words up to a colon and the command after the colon. Returns only the words if there is no command. */
export const withCommand = (advice: string): { readonly words: string; readonly command?: string } => {
  const [, words, command] = /^(.*:) ((?:node|npm|npx) \S.*)$/su.exec(advice) ?? [];
  return words === undefined || command === undefined ? { words: advice } : { words, command };
};
