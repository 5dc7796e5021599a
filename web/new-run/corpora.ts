/** Texts that need no file of the reader's, as the form names them. */

/** The one that comes with the program: the other is fetched at its first use. */
export const includedCorpus = "moby-dick";

const names: Readonly<Record<string, string>> = {
  [includedCorpus]: "Moby-Dick (included)",
  "tiny-shakespeare": "Tiny Shakespeare (downloaded, 1 MB)",
};

/** Names as the server has them with those that are shown: the included one first. */
export const corpusChoices = (corpora: readonly string[]): readonly (readonly [string, string])[] =>
  corpora
    .toSorted((a, b) => Number(b === includedCorpus) - Number(a === includedCorpus))
    .map((name) => [name, names[name] ?? name] as const);

/** Errors of a system that has no way to the other machine. */
const noNetwork = /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT)\b/u;

/** The error of a text that could not be downloaded, in the words of the form; undefined: it is another error. */
export const downloadFailure = (error: string): string | undefined => {
  const [, got] = /^tiny-shakespeare: the text must be on this machine .*?; got (.+?)(?:; try .*)?$/u.exec(error) ?? [];
  if (got === undefined) return undefined;
  return `Could not download it: ${noNetwork.test(got) ? "no network" : got}. Choose Moby-Dick.`;
};
