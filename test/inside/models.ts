import type { Backend } from "#foretoken/backend/backend.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { type AdaptedModel, adaptedModel } from "#foretoken/models/lora/model.js";
import type { Model } from "#foretoken/models/model.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import {
  bookModel,
  differingModel,
  groupedModel,
  hashedModel,
  hashedWeights,
  qwen3Model,
  sandwichModel,
} from "../support/models.ts";

export const tokenizer = trainCharTokenizer("abcdefghijklm");
export const { vocabSize } = tokenizer;
export const text = "abacadbeecafmk";
export const ids = tokenizer.encode(text);

const small = { contextLength: 24, nLayer: 2, nEmbd: 24 };

export const learned: ModelConfig = { ...bookModel, ...small, nHead: 3 };
export const rotary: ModelConfig = { ...qwen3Model, ...small, nHead: 2, mlp: { kind: "swiglu", hidden: 40 } };
export const grouped: ModelConfig = {
  ...{ ...groupedModel, ...small, contextLength: 40, bias: { qkv: true, projection: true, mlp: false } },
  ...{ tieEmbeddings: true, mlp: { kind: "swiglu", hidden: 40 } },
  position: { ...groupedModel.position, kind: "rope", theta: 100, fraction: 0.6 },
};
export const unmasked: ModelConfig = { ...bookModel, ...small, nHead: 2, mask: "none" };

const layered = { nLayer: 3, contextLength: 24, nEmbd: 24 };
export const differing: ModelConfig = {
  ...{ ...differingModel, ...layered, headDim: 6, mlp: { kind: "swiglu", hidden: 40 } },
  window: { size: 4, fullEvery: 3, theta: 50 },
};
export const sandwich: ModelConfig = {
  ...{ ...sandwichModel, ...small, nHead: 2, mlp: { kind: "geglu", hidden: 40, approximate: "tanh" } },
  window: { size: 5 },
};
const squared: ModelConfig = { ...learned, normPlacement: "both", embeddingScale: 2, mlp: { kind: "relu2", ratio: 2 } };

/** One small model of each architecture. */
export const kinds: readonly (readonly [name: string, config: ModelConfig])[] = [
  ["learned positions, GELU, biases", learned],
  ["rotary positions, norms of heads, a head of its own", rotary],
  ["grouped queries, stretched wavelengths, a part of a head", grouped],
  ["no mask", unmasked],
  ["layers that differ, norms behind the branches, one norm for all heads", differing],
  ["windows, GEGLU, norms around the branches, factors", sandwich],
  ["squared ReLU, layer norms around the branches, scaled token vectors beside positions", squared],
];

export const withModel = (backend: Backend, config: ModelConfig): LanguageModel =>
  languageModel(hashedModel(backend, config, vocabSize), tokenizer);

/** A model with an adapter on every layer, and its base model. No matrix of the adapter contains a zero. */
export const withAdapter = (
  backend: Backend,
  config: ModelConfig,
): { readonly lm: LanguageModel; readonly base: Model; readonly adapted: AdaptedModel } => {
  const base = hashedModel(backend, config, vocabSize);
  const adapted = adaptedModel(base, { rank: 3, alpha: 6, dropout: 0 });
  const { layout, arena } = adapted.adapter;
  backend.write(arena.storage, hashedWeights(layout));
  adapted.weightsChanged();
  return { lm: languageModel(base, tokenizer, undefined, { adapters: { own: adapted } }), base, adapted };
};

/** The values of a parameter in double precision, by name. */
export const weightsOf = async ({ backend, layout, arena }: Pick<Model, "backend" | "layout" | "arena">) => {
  const values = await backend.read(arena.storage, 0, layout.length);
  const byName = new Map(
    layout.parameters.map(({ name, offset, size }) => [
      name,
      Float64Array.from(values.subarray(offset, offset + size)),
    ]),
  );
  return (name: string): Float64Array | null => byName.get(name) ?? null;
};
