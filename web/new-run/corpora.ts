/** Texts for which the user needs no file, and the names of these texts in the form. */

/** The corpus that is part of the package. The other corpus is downloaded when it is first used. */
export const includedCorpus = "moby-dick";

const names: Readonly<Record<string, string>> = {
  [includedCorpus]: "Moby-Dick (included)",
  "tiny-shakespeare": "Tiny Shakespeare (downloaded, 1 MB)",
};

/** Pairs of the server's name and the shown name, the included corpus first. */
export const corpusChoices = (corpora: readonly string[]): readonly (readonly [string, string])[] =>
  corpora
    .toSorted((a, b) => Number(b === includedCorpus) - Number(a === includedCorpus))
    .map((name) => [name, names[name] ?? name] as const);

/** System errors that mean that the host cannot be reached. */
const noNetwork = /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT)\b/u;

/** Message for a text that could not be downloaded. Undefined for all other errors. */
export const downloadFailure = (error: string): string | undefined => {
  const [, got] = /^tiny-shakespeare: the text must be on this machine .*?; got (.+?)(?:; try .*)?$/u.exec(error) ?? [];
  if (got === undefined) return undefined;
  return `The text could not be downloaded: ${noNetwork.test(got) ? "no network" : got}. Choose Moby-Dick.`;
};
