/** Splits advice of the server that ends with a command. */

/** The words up to a colon, and the command after the colon. If there is no command, only the words. */
export const withCommand = (advice: string): { readonly words: string; readonly command?: string } => {
  const [, words, command] = /^(.*:) ((?:node|npm|npx) \S.*)$/su.exec(advice) ?? [];
  return words === undefined || command === undefined ? { words: advice } : { words, command };
};
