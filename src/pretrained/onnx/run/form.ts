/**
 * Makes a model from a graph and its tokenizer. The graph is called as in other programs: the text is passed in pieces,
 * and a KV cache is kept between calls.
 */

import { CheckpointError } from "../../../core/errors/errors.ts";
import { yieldToHost } from "../../../core/system/yield.ts";
import type { RealDType } from "../../../core/tensors/dtype.ts";
import type { ReadModel, ReadValue } from "../../../io/onnx/read.ts";
import type { LanguageModel, Logits } from "../../model/language-model.ts";
import type { PretrainedFacts } from "../../parse.ts";
import { runnableGraph } from "./graph.ts";
import type { Products } from "./products.ts";
import type { Tensor } from "./tensor.ts";

/** Logits of consecutive tokens. */
export interface LogitsPiece {
  /** Position of the first token. */
  readonly from: number;
  /** [count · V] */
  readonly logits: Float32Array;
}

/** A model with a graph that computes the logits. */
export interface OnnxForm extends Pick<LanguageModel, "tokenizer" | "endTokens" | "chatTemplate"> {
  readonly vocabSize: number;
  readonly contextLength: number;
  /** Yields the logits of all tokens of a text, piece by piece. */
  readonly pieces: (ids: ArrayLike<number>) => AsyncGenerator<LogitsPiece, void, undefined>;
  /** Logits of a text, as `LanguageModel.logits` returns them. */
  readonly logits: (ids: ArrayLike<number>) => Promise<Logits>;
}

/** Maximum number of tokens per call. */
const mostTokens = 256;

/**
 * Number of tokens of the first call, which has no past keys and values. The number is small, so that the text needs a
 * second call, which has past keys and values.
 */
const firstTokens = (all: number): number => Math.min(16, Math.ceil(all / 2));

const pastName = /^past_key_values\.(\d+\.(?:key|value))$/u;

/** Keys and values of previous tokens, by input name. */
export type Past = Readonly<Record<string, Tensor>>;

const wholes = (shape: readonly number[], values: readonly number[]): Tensor => ({
  ...{ type: "int64", shape },
  data: Float64Array.from(values),
});

/** Inputs for keys and values when there are no previous tokens: [B, Hk, 0, D]. */
export const emptyPast = (
  { inputs }: Pick<ReadModel, "inputs">,
  batch: number,
  real: RealDType,
): Readonly<Record<string, Tensor>> =>
  Object.fromEntries(
    inputs
      .filter(({ name }) => pastName.test(name))
      .map(({ name, type, shape: [, heads, , headDim] }): [string, Tensor] => {
        const shape = [batch, Number(heads), 0, Number(headDim)];
        return [name, { type, shape, data: real === "float32" ? new Float32Array() : new Float64Array() }];
      }),
  );

/** Turns the keys and values in the outputs into inputs of the next call. */
export const asPast = (outputs: Readonly<Record<string, Tensor>>): Past =>
  Object.fromEntries(
    Object.entries(outputs)
      .filter(([name]) => name.startsWith("present."))
      .map(([name, value]) => [name.replace(/^present/u, "past_key_values"), value]),
  );

/** Names of the inputs that describe tokens. */
const tokenInputs = ["input_ids", "attention_mask", "position_ids"] as const;

/** Inputs of a call with these tokens, one list per row. */
export const tokensOf = (
  rows: readonly (readonly number[])[],
  masks: readonly (readonly number[])[],
  places: readonly (readonly number[])[],
): Readonly<Record<(typeof tokenInputs)[number], Tensor>> => {
  const of = (lists: readonly (readonly number[])[]): Tensor =>
    wholes([lists.length, lists[0]?.length ?? 0], lists.flat());
  return { input_ids: of(rows), attention_mask: of(masks), position_ids: of(places) };
};

const isCache = ({ shape, type }: ReadValue): boolean => {
  const [batch, heads, length, headDim, ...others] = shape;
  const sizes = [heads, headDim].every((size) => typeof size === "number" && size >= 0 && Number.isSafeInteger(size));
  return type === "float32" && sizes && typeof batch === "string" && typeof length === "string" && others.length === 0;
};

/** @throws CheckpointError if the graph does not have the inputs and outputs of a language model. */
const checkValues = ({ inputs, outputs }: ReadModel, vocabSize: number, where: string): void => {
  const refuse = (must: string, got: string): CheckpointError => new CheckpointError({ where, must, got });
  const names = inputs.map(({ name }) => name);
  if (!names.includes("input_ids")) throw refuse("the graph must have the input input_ids", names.join(", ") || "none");
  const made = outputs.map(({ name }) => name);
  for (const input of inputs) {
    const part = pastName.exec(input.name)?.[1];
    if (part === undefined) {
      if (tokenInputs.some((name) => name === input.name)) continue;
      throw refuse("the graph must have only the inputs of a language model", input.name);
    }
    if (!isCache(input))
      throw refuse(`${input.name} must be float32 [batch, heads, length, width]`, `[${input.shape.join(", ")}]`);
    if (!made.includes(`present.${part}`))
      throw refuse("the graph must have an output for each input of keys or values", input.name);
  }
  const kept = new Set(names.map((name) => `present.${pastName.exec(name)?.[1]}`));
  const other = made.find((name) => name !== "logits" && !kept.has(name));
  if (other !== undefined)
    throw refuse("the graph's outputs must be only logits, and the keys and values for which it has inputs", other);
  const logits = outputs.find(({ name }) => name === "logits");
  if (logits === undefined) throw refuse("the graph must have the output logits", made.join(", "));
  if (logits.type !== "float32" || logits.shape.length !== 3 || logits.shape[2] !== vocabSize) {
    throw refuse(
      `logits must be float32 [batch, length, ${vocabSize}], with the vocabulary size of config.json`,
      `[${logits.shape.join(", ")}]`,
    );
  }
};

/**
 * Makes a model from a graph.
 * @param where the graph's file, for errors. @param products computes matrix products; the caller closes it.
 * @param signal stops the work between calls of the graph.
 * @throws CheckpointError if the graph is not a language model, or if it cannot be executed here.
 */
export const onnxForm = (
  where: string,
  model: ReadModel,
  { config, vocabSize, tokenizer, chatTemplate, endTokens }: PretrainedFacts,
  products: Products,
  signal?: AbortSignal,
): OnnxForm => {
  checkValues(model, vocabSize, where);
  const graph = runnableGraph(where, model, products);
  const named = new Set(model.inputs.map(({ name }) => name));
  const call = async (ids: readonly number[], before: number, past: Past) => {
    const places = ids.map((_, i) => before + i);
    const tokens = tokensOf([ids], [new Array<number>(before + ids.length).fill(1)], [places]);
    const given = Object.entries({ ...tokens, ...past }).filter(([name]) => named.has(name));
    const outputs = await graph.run(Object.fromEntries(given));
    return { logits: outputs.logits as Tensor, past: asPast(outputs) };
  };
  async function* pieces(ids: ArrayLike<number>): AsyncGenerator<LogitsPiece, void, undefined> {
    const all = Array.from(ids);
    let past: Past = emptyPast(model, 1, products.real);
    for (let from = 0; from < all.length; ) {
      signal?.throwIfAborted();
      const count = from === 0 ? firstTokens(all.length) : Math.min(mostTokens, all.length - from);
      const answer = await call(all.slice(from, from + count), from, past);
      past = answer.past;
      yield { from, logits: Float32Array.from(answer.logits.data) };
      from += count;
      await yieldToHost();
    }
  }
  return {
    ...{ tokenizer, endTokens, chatTemplate, vocabSize, contextLength: config.contextLength, pieces },
    async logits(ids) {
      const data = new Float32Array(ids.length * vocabSize);
      for await (const { from, logits } of pieces(ids)) data.set(logits, from * vocabSize);
      return { data, shape: [ids.length, vocabSize] };
    },
  };
};
