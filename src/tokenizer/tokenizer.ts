import { CheckpointError } from "../core/errors.ts";
import { show } from "../core/show.ts";
import { type CharTokenizer, charTokenizer } from "./char.ts";
import { charactersFromJson, isCharTokenizerJson } from "./tokenizer-json.ts";

/** Every tokenizer there is, told apart by `kind`. A new one joins this union and `loadTokenizer`. */
export type Tokenizer = CharTokenizer;

/** The type of a `tokenizer.json`'s model, for the error of one that nothing here can read. */
const describeModel = (json: unknown): string => {
  const model = typeof json === "object" && json !== null && "model" in json ? json.model : undefined;
  const type = typeof model === "object" && model !== null && "type" in model ? model.type : undefined;
  return typeof type === "string" ? `a model of type ${show(type)}` : "JSON that names no model";
};

/**
 * The tokenizer that a parsed `tokenizer.json` describes.
 * @param where the file, for errors.
 * @throws CheckpointError when the kind is none of those of `Tokenizer` or the contents are damaged.
 */
export const loadTokenizer = (json: unknown, where = "tokenizer.json"): Tokenizer => {
  if (isCharTokenizerJson(json)) return charTokenizer(charactersFromJson(json, where));
  throw new CheckpointError({
    where,
    must: "the tokenizer must be character-level: a WordLevel model over single characters",
    got: describeModel(json),
    hint: "a checkpoint that foretoken wrote",
  });
};

/** Turns tokens into text as they come: what `push` returns is final and can be printed at once. */
export interface TextStream {
  /** The text that `id` completes; empty while a character is still half-told. */
  push(id: number): string;
  /** What is left when no token follows. */
  end(): string;
}

/** A streaming `decode` for generation: the pushed pieces, joined, are `decode` of all the ids. */
export const textStream = (tokenizer: Tokenizer): TextStream => {
  switch (tokenizer.kind) {
    case "char":
      return { push: (id) => tokenizer.token(id), end: () => "" };
  }
};
