import { createHash, type Hash } from "node:crypto";
import { basename, resolve } from "node:path";
import { checkKeys, checkSurroundings, checkText } from "../core/checks/check-arguments.ts";
import { DataError } from "../core/errors/errors.ts";
import { type Corpus, openingWords, splitText, type TextSplit } from "./corpus.ts";
import type { GivenText } from "./given-text.ts";
import { findMobyDick, mobyDickError } from "./moby-dick.node.ts";
import { readText } from "./text.node.ts";
import { findTinyShakespeare, type Surroundings, tinyShakespeareError } from "./tiny-shakespeare.node.ts";
import { decodeText } from "./utf8.ts";

/** Names of the built-in corpora. To use a file or folder with such a name, write `./name`. */
export const corpusNames = ["tiny-shakespeare", "moby-dick"] as const;
export type CorpusName = (typeof corpusNames)[number];

/** Whether `data` is the name of a built-in corpus. Any other `data` is a path. */
export const isCorpusName = (data: string): data is CorpusName | "default" =>
  data === "default" || corpusNames.some((name) => name === data);

interface Text {
  readonly name: string;
  readonly source: string;
  readonly text: string;
  readonly parts: Corpus["parts"];
  readonly prompt: string;
  readonly notice?: string;
}

const mobyDick = async (): Promise<Text | undefined> => {
  const found = await findMobyDick();
  return found === undefined
    ? undefined
    : { name: "moby-dick", ...found, parts: [{ where: "moby-dick", start: 0 }], prompt: "Call me Ishmael." };
};

const tinyShakespeare = async (surroundings: Surroundings): Promise<Text | { readonly problem: string }> => {
  const found = await findTinyShakespeare(surroundings);
  if ("problem" in found) return found;
  const text = decodeText(found.bytes, found.source);
  const parts = [{ where: "tiny-shakespeare", start: 0 }];
  return { name: "tiny-shakespeare", source: found.source, text, parts, prompt: "ROMEO:" };
};

const defaultText = async (surroundings: Surroundings): Promise<Text> => {
  const shakespeare = await tinyShakespeare(surroundings);
  if (!("problem" in shakespeare)) return shakespeare;
  const instead = await mobyDick();
  if (instead === undefined) throw tinyShakespeareError(shakespeare.problem);
  const notice = `tiny-shakespeare could not be fetched (${shakespeare.problem}); using moby-dick instead`;
  return { ...instead, notice };
};

const findText = async (nameOrPath: string, surroundings: Surroundings): Promise<Text> => {
  switch (nameOrPath) {
    case "default":
      return defaultText(surroundings);
    case "tiny-shakespeare": {
      const found = await tinyShakespeare(surroundings);
      if ("problem" in found) throw tinyShakespeareError(found.problem);
      return found;
    }
    case "moby-dick": {
      const found = await mobyDick();
      if (found === undefined) throw mobyDickError();
      return found;
    }
    default: {
      const { text, ...rest } = await readText(nameOrPath, /[./\\]/u.test(nameOrPath) ? [] : corpusNames);
      return { name: basename(resolve(nameOrPath)), source: nameOrPath, text, prompt: openingWords(text), ...rest };
    }
  }
};

/** Options of `loadCorpus`. */
export interface CorpusOptions {
  /** Name or path of a text to validate on. The whole corpus is then used for training. */
  readonly valData?: string | undefined;
  /** Fraction of the corpus that is held out if there is no `valData`, in (0, 1). Default 0.1. */
  readonly valFraction?: number | undefined;
  /** Environment variables. Default: the variables of the process. */
  readonly surroundings?: Surroundings;
}

/** A corpus from disk, and a hash. A resumed run recognises its text by this hash. */
export interface LoadedCorpus extends Corpus {
  /**
   * SHA-256 of the text of both splits in UTF-8, hexadecimal. The hash depends on the text and on the place of the
   * split.
   */
  readonly sha256: string;
}

/** Number of UTF-16 units in a piece. Hashing a string allocates three bytes per unit. */
const unitsPerPiece = 2 ** 18;

/**
 * Cuts a text into pieces, but never inside a surrogate pair. A long text is therefore never in memory as UTF-8 as a
 * whole.
 */
export function* textPieces(text: string): Generator<string, void, undefined> {
  for (let from = 0; from < text.length; ) {
    let end = Math.min(text.length, from + unitsPerPiece);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end++;
    yield text.slice(from, end);
    from = end;
  }
}

/** Adds `text` to the hash as UTF-8, in pieces. */
const updateWith = (hash: Hash, text: string): void => {
  for (const piece of textPieces(text)) hash.update(piece);
};

const hashOf = ({ train, val }: TextSplit): string => {
  const hash = createHash("sha256");
  updateWith(hash, train);
  hash.update("\0");
  updateWith(hash, val);
  return hash.digest("hex");
};

/** Returns a given text as a corpus, unchanged. `valFraction` is used if there is no `valText`. */
export const givenCorpus = ({ text, valText }: GivenText, valFraction?: number): LoadedCorpus => {
  const split = valText === undefined ? splitText(text, valFraction) : { train: text, val: valText };
  const parts = [{ where: "text", start: 0 }];
  return {
    ...{ name: "text", source: "text", prompt: openingWords(text) },
    ...split,
    parts: valText === undefined ? parts : [...parts, { where: "valText", start: text.length }],
    sha256: hashOf(split),
  };
};

/**
 * Loads a corpus. `nameOrPath` is "tiny-shakespeare", "moby-dick", "default", or the path of a file or a folder. The
 * name "default" means Tiny Shakespeare if this text is available, otherwise Moby-Dick with a `notice`. Only Tiny
 * Shakespeare uses the network.
 * @throws DataError if the corpus is not available or is not text; ConfigError for a fraction outside (0, 1).
 * @example
 * ```ts
 * import { loadCorpus, trainCharTokenizer } from "foretoken";
 *
 * const { train, val } = await loadCorpus("notes.txt", { valFraction: 0.2 });
 * const tokenizer = trainCharTokenizer(train, val);
 * console.log(tokenizer.encode(train).length);
 * ```
 */
export const loadCorpus = async (nameOrPath = "default", options: CorpusOptions = {}): Promise<LoadedCorpus> => {
  checkText("data", nameOrPath);
  checkKeys("loadCorpus", options, ["valData", "valFraction", "surroundings"]);
  const { valData, valFraction, surroundings = { env: process.env, fetch: globalThis.fetch } } = options;
  if (valData !== undefined) checkText("valData", valData);
  checkSurroundings("surroundings", surroundings);
  if (nameOrPath === "") throw new DataError({ where: "data", must: "a name or a path must be given", got: '""' });
  const { text, parts, notice, ...about } = await findText(nameOrPath, surroundings);
  const held = valData === undefined ? undefined : await findText(valData, surroundings);
  const split = held === undefined ? splitText(text, valFraction) : { train: text, val: held.text };
  const notices = [notice, held?.notice].filter((line) => line !== undefined);
  return {
    ...about,
    ...split,
    parts:
      held === undefined
        ? parts
        : [...parts, ...held.parts.map((part) => ({ ...part, start: part.start + text.length }))],
    sha256: hashOf(split),
    ...(notices.length === 0 ? {} : { notice: notices.join("; ") }),
  };
};
