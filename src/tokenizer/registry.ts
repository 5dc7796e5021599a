/** Reads all tokenizers. The code of a kind is imported only when a file may be of this kind. */
import { checkText } from "../core/checks/check-arguments.ts";
import { isRecord } from "../core/checks/is-record.ts";
import { beginOfJson } from "./begin.ts";
import type { TokenizerConfig } from "./config.ts";
import type { Tokenizer } from "./tokenizer.ts";

interface Kind {
  /** Whether `json` is a tokenizer of this kind. `read` checks all further contents. */
  claims(json: unknown): boolean | Promise<boolean>;
  /** @throws CheckpointError naming the damaged field. */
  read(json: unknown, where: string): Promise<Tokenizer>;
}

/** All kinds. A file belongs to the first kind that accepts it. */
const kinds: { readonly [K in TokenizerConfig["kind"]]: Kind } = {
  char: {
    claims: (json) => isRecord(json) && isRecord(json.model) && json.model.type === "WordLevel",
    read: async (json, where) => (await import("./char.ts")).readCharTokenizer(json, where),
  },
  bpe: {
    claims: async (json) => (await import("./bpe/read-json.ts")).isByteLevelBpeJson(json),
    read: async (json, where) => {
      const { bpePartsOf } = await import("./bpe/read-json.ts");
      const { bpeTokenizer } = await import("./bpe/bpe.ts");
      const tokenizer = bpeTokenizer(bpePartsOf(json, where), where);
      // `toJSON` returns the file unchanged, including parts that Foretoken does not use.
      return { ...tokenizer, beginOfText: beginOfJson(json, tokenizer.specialTokens), toJSON: () => json };
    },
  },
  sentencepiece: {
    claims: async (json) => (await import("./sentencepiece/read-json.ts")).isSentencePieceJson(json),
    read: async (json, where) => {
      const { sentencePiecePartsOf } = await import("./sentencepiece/read-json.ts");
      const { sentencePieceTokenizer } = await import("./sentencepiece/sentencepiece.ts");
      return sentencePieceTokenizer(sentencePiecePartsOf(json, where), where, json);
    },
  },
  "hugging-face": {
    claims: () => true,
    read: async (json, where) => (await import("./hugging-face.ts")).huggingFaceTokenizer(json, where),
  },
};

/**
 * Makes the tokenizer of a parsed `tokenizer.json`, of any kind that Hugging Face's libraries support. The file does
 * not say which token ends a text. `endOfText` is therefore the special token `<|endoftext|>`, if the file contains it.
 * @param where the file, for errors.
 * @throws CheckpointError if the contents are damaged.
 */
export const loadTokenizer = async (json: unknown, where = "tokenizer.json"): Promise<Tokenizer> => {
  checkText("loadTokenizer: where", where);
  for (const { claims, read } of Object.values(kinds)) if (await claims(json)) return read(json, where);
  return kinds["hugging-face"].read(json, where);
};
