/** Texts for which the user needs no file, and their descriptions in the form. */

/** The corpus that is part of the package. The other corpus is downloaded when it is first used. */
export const includedCorpus = "moby-dick";

export interface CorpusChoice {
  /** Name in requests. */
  readonly name: string;
  readonly title: string;
  readonly about: string;
}

const known: Readonly<Record<string, Omit<CorpusChoice, "name">>> = {
  [includedCorpus]: { title: "Moby-Dick", about: "Melville’s novel: 1.2 million characters, included." },
  "tiny-shakespeare": {
    title: "Tiny Shakespeare",
    about: "Scenes of plays: 1.1 million characters, downloaded once.",
  },
};

/** Choices for the server's corpora, the included corpus first. */
export const corpusChoices = (corpora: readonly string[]): readonly CorpusChoice[] =>
  corpora
    .toSorted((a, b) => Number(b === includedCorpus) - Number(a === includedCorpus))
    .map((name) => ({ name, title: name, about: "", ...known[name] }));

/** System errors that mean that the host cannot be reached. */
const noNetwork = /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT)\b/u;

/** Message for a text that could not be downloaded. Undefined for all other errors. */
export const downloadFailure = (error: string): string | undefined => {
  const [, got] = /^tiny-shakespeare: the text must be on this machine .*?; got (.+?)(?:; try .*)?$/u.exec(error) ?? [];
  if (got === undefined) return undefined;
  return `The text could not be downloaded: ${noNetwork.test(got) ? "no network" : got}. Choose Moby-Dick.`;
};
