import { randomKey, randomStream } from "../../core/random.ts";
import { type Adjustment, banned, type History, logitBias, penaltiesOf } from "./adjust.ts";
import { sampleToken } from "./sampler.ts";
import { type FilterName, filterNames, type Sampling } from "./settings.ts";

/** All that decides the tokens of a text, besides the model and the prompt. */
export interface ChainSettings {
  readonly sampling: Sampling;
  readonly seed: number;
  /** Order of the filters. Default: as they are listed. */
  readonly order?: readonly FilterName[];
  /** Added to logits, by token ids. Default: none. */
  readonly biases?: ReadonlyMap<number, number>;
  /** Tokens in a row that must not be written, each as a list. Default: none. */
  readonly banned?: readonly (readonly number[])[];
  /** Changes the logits of each token last of all, where they are. Default: nothing does. */
  readonly adjust?: ((logits: Float32Array, ids: readonly number[]) => void) | undefined;
}

/** Chooses the tokens of one text, one after the other. */
export interface Chain {
  /** The token that follows, which is then part of the text. @param logits [V], which stay as they are. */
  next(logits: Float32Array): number;
}

/**
 * The chain of one text: biases, repetition penalty, presence and frequency penalties, banned words, the caller's own function; then
 * the filters, and a draw.
 * @param prompt what the text begins with.
 */
export const createChain = (settings: ChainSettings, prompt: readonly number[]): Chain => {
  const { sampling, seed, order = filterNames, biases, adjust } = settings;
  const random = randomStream(randomKey(seed, "sampling"));
  const lists = settings.banned ?? [];
  const adjustments: readonly Adjustment[] = [
    ...(biases === undefined || biases.size === 0 ? [] : [logitBias(biases)]),
    ...penaltiesOf(sampling),
    ...(lists.length === 0 ? [] : [banned(lists)]),
    ...(adjust === undefined ? [] : [(logits: Float32Array, { ids }: History) => adjust(logits, ids)]),
  ];
  const ids = [...prompt];
  const seen = new Set(prompt);
  const written = new Map<number, number>();
  return {
    next(logits) {
      const adjusted = adjustments.length === 0 ? logits : logits.slice();
      for (const adjustment of adjustments) adjustment(adjusted, { ids, seen, written });
      const id = sampleToken(adjusted, sampling, random, order);
      ids.push(id);
      seen.add(id);
      written.set(id, (written.get(id) ?? 0) + 1);
      return id;
    },
  };
};
