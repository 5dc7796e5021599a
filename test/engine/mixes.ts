import type { Backend } from "#foretoken/backend/backend.js";
import { randomKey, randomStream } from "#foretoken/core/random.js";
import { createSequenceEngine, type Writing } from "#foretoken/engine/engine.js";
import { pageBytes } from "#foretoken/engine/page-memory.js";
import type { Draft } from "#foretoken/engine/sequence.js";
import { sampleToken } from "#foretoken/generate/sampling/sampler.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { type AdaptedModel, loraModel } from "#foretoken/models/lora/model.js";
import type { Model } from "#foretoken/models/model.js";
import { blockConfig, hashedBlockModel } from "../support/block-models.ts";
import { bookModel, differingModel, groupedModel, hashedModel, qwen3Model } from "../support/models.ts";
import { logitsAfter, logitsOfText } from "../support/texts.ts";

const vocabSize = 29;
const contextLength = 150;
const sizes = { contextLength, nEmbd: 24, nHead: 3, nLayer: 2 };

/**
 * Small models of several architectures. The contexts of the models have a few pages, so that some texts exceed the
 * context.
 */
export const mixedConfigs: readonly ModelConfig[] = [
  { ...bookModel, ...sizes },
  { ...qwen3Model, ...sizes, mlp: { kind: "swiglu", hidden: 35 } },
  { ...bookModel, ...sizes, contextLength: 40, mask: "none" },
  { ...groupedModel, contextLength, nEmbd: 24, nLayer: 2, mlp: { kind: "swiglu", hidden: 35 } },
  { ...differingModel, contextLength, nEmbd: 24, mlp: { kind: "swiglu", hidden: 35 } },
  { ...qwen3Model, ...sizes, mlp: { kind: "swiglu", hidden: 35 }, window: { size: 40 } },
];

/** Returns random whole numbers below a limit, and random choices, from a seed. */
const drawing = (seed: number) => {
  const stream = randomStream(randomKey(seed, "batches"));
  const below = (limit: number): number => Math.floor(stream.uniform() * limit);
  return { below, chance: (share: number): boolean => stream.uniform() < share };
};

/** A text of a mix: its prompt, and its settings. */
interface Text {
  readonly model: Model;
  readonly prompt: readonly number[];
  readonly most: number;
  readonly seed: number;
  readonly temperature: number;
  /** Number of tokens after which the test ends the text. Infinity means that the test does not end the text. */
  readonly endsAfter: number;
  /** Whether the logits of the prompt are requested. */
  readonly reads: boolean;
  /** Function that guesses the next tokens. */
  readonly draft?: Draft;
}

/** Result of a text: its ids after the prompt, and the bits of all its logits. */
interface Written {
  readonly ids: readonly number[];
  readonly logits: readonly Uint32Array[];
}

const wordsOf = (logits: Float32Array): Uint32Array => new Uint32Array(logits.slice().buffer);

const chooser = ({ seed, temperature }: Text): ((logits: Float32Array) => number) => {
  const random = randomStream(randomKey(seed, "sampling"));
  return (logits) => sampleToken(logits, { temperature, topK: 0, topP: 1, minP: 0 }, random);
};

/**
 * Computes the text alone, with passes over whole windows. If a causal model's context contains all tokens, one pass is
 * enough.
 * @param ids the generated tokens after the prompt.
 */
const alone = async (text: Text, ids: readonly number[]): Promise<Written> => {
  const { model, prompt } = text;
  const { contextLength, mask } = model.config;
  const choose = chooser(text);
  const all = [...prompt, ...ids];
  const within = mask === "causal" ? all.slice(0, contextLength) : [];
  const known = within.length === 0 ? new Float32Array(0) : await logitsOfText(model, within);
  const after = async (length: number): Promise<Float32Array> =>
    length <= within.length
      ? known.slice((length - 1) * vocabSize, length * vocabSize)
      : logitsAfter(model, all.slice(0, length));
  const logits: Uint32Array[] = [];
  if (text.reads) for (let t = 1; t < prompt.length; t++) logits.push(wordsOf(await after(t)));
  const chosen: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    const next = await after(prompt.length + i);
    logits.push(wordsOf(next));
    chosen.push(choose(next));
  }
  return { ids: chosen, logits };
};

const differenceOf = (a: Written, b: Written): string | null => {
  if (a.ids.join() !== b.ids.join()) return `ids ${a.ids.join()} instead of ${b.ids.join()}`;
  if (a.logits.length !== b.logits.length) return `${a.logits.length} logits instead of ${b.logits.length}`;
  const row = a.logits.findIndex((words, i) => words.some((word, v) => word !== b.logits[i]?.[v]));
  return row === -1 ? null : `other bits in logits ${row}`;
};

/**
 * Generates all texts of one random mix together. Then generates each text alone.
 * @param form block format of the weights; undefined: the weights are not quantized.
 * @returns the differences in words, and the engine's counts.
 */
export const runMix = async (backend: Backend, seed: number, form?: number) => {
  const { below, chance } = drawing(seed);
  const any = mixedConfigs[below(mixedConfigs.length)] as ModelConfig;
  const config = form === undefined ? any : blockConfig(form, contextLength);
  const before = backend.bytesInUse();
  const model =
    form === undefined
      ? hashedModel(backend, config, vocabSize)
      : hashedBlockModel(backend, form, config, vocabSize).model;
  const adapted: AdaptedModel[] = [1, 2].map((rank) => {
    const made = loraModel(model, { rank, targets: ["query", "value"] }, rank);
    const { arena, layout } = made.adapter;
    backend.write(
      arena.storage,
      Float32Array.from({ length: layout.length }, (_, i) => Math.sin(i * rank) / 4),
    );
    made.weightsChanged();
    return made;
  });
  const contextPages = Math.ceil(config.contextLength / 32);
  const engine = createSequenceEngine(model, {
    // The number of pages is random. The minimum is enough for one context. The maximum is more than all texts need.
    cacheBytes: pageBytes(model) * contextPages * (1 + below(12)),
    maxSequences: 1 + below(32),
    pace: { positions: () => 1 + below(60), note() {} },
    guessPace: { plan: (texts) => texts.map(({ most }) => below(most + 1)), note() {} },
  });
  const count = 1 + below(32);
  const all: { readonly text: Text; readonly written: Written; readonly writing: Writing }[] = [];
  const others = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  /**
   * Guesses for a text, from another text with the same tokens that is already generated in part. Most guesses are
   * right. Some guesses are returned at once, other guesses later.
   */
  const draftOf = (length: number, { ids: known }: Written): Draft => {
    const isLate = chance(0.3);
    const share = [0, 0.5, 0.9, 1][below(4)] as number;
    return (ids, most) => {
      const from = ids.length - length;
      const right = known.slice(from, from + most);
      const guesses = right.map((id) => (chance(share) ? id : below(vocabSize)));
      while (guesses.length < most && chance(0.8)) guesses.push(below(vocabSize));
      return isLate ? others().then(() => guesses) : guesses;
    };
  };
  const copyOf = ({ text, written }: (typeof all)[number]): void =>
    start({ ...text, endsAfter: Number.POSITIVE_INFINITY, draft: draftOf(text.prompt.length, written) });

  const begin = (prompt: readonly number[]): void =>
    start({
      model: ([model, model, ...adapted] as const)[below(4)] as Model,
      prompt,
      most: 1 + below(chance(0.1) ? 60 : 20),
      seed: below(1000),
      temperature: chance(0.3) ? 0 : 0.9,
      endsAfter: chance(0.2) ? below(10) : Number.POSITIVE_INFINITY,
      reads: chance(0.15) && prompt.length < config.contextLength && config.mask === "causal",
    });
  const start = (text: Text): void => {
    const written = { ids: [] as number[], logits: [] as Uint32Array[] };
    const choose = chooser(text);
    const writing = engine.write({
      model: text.model,
      prompt: text.prompt,
      maxNewTokens: text.most,
      draft: text.draft,
      choose(logits) {
        if (written.ids.length >= text.endsAfter) return null;
        written.logits.push(wordsOf(logits));
        const id = choose(logits);
        written.ids.push(id);
        return id;
      },
      ...(text.reads ? { readPrompt: (logits: Float32Array) => void written.logits.push(wordsOf(logits)) } : {}),
    });
    all.push({ text, written, writing });
  };

  const common = Array.from({ length: 1 + below(140) }, () => below(vocabSize));
  for (let i = 0; i < count; i++) {
    const length = 1 + below(chance(0.1) ? 400 : 60);
    const own = Array.from({ length }, () => below(vocabSize));
    const [model0] = all;
    const fork = all[below(all.length)];
    if (fork !== undefined && model0 !== undefined && chance(0.25)) {
      // The prompt begins with tokens that another text has generated so far: all of these tokens, or some of them.
      const ids = [...fork.text.prompt, ...fork.written.ids];
      begin(ids.slice(0, 1 + below(ids.length)));
    } else begin(chance(0.3) ? [...common, ...own.slice(0, 8)] : own);
    const original = all[below(all.length)];
    if (original !== undefined && chance(0.5)) copyOf(original);
    if (chance(0.1)) all[below(all.length)]?.writing.end();
    for (let wait = below(4); wait > 0; wait--) await others();
  }
  const outcomes = await Promise.allSettled(all.map(({ writing }) => writing.ended));
  const differences: string[] = outcomes.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : []));
  for (const [i, { text, written }] of all.entries()) {
    // If the test ended a text before its first token, the engine may have read only a part of the prompt.
    if (written.ids.length === 0) continue;
    const difference = differenceOf(written, await alone(text, written.ids));
    if (difference !== null) differences.push(`text ${i}: ${difference}`);
  }
  const counts = engine.counts();
  await engine.close();
  for (const one of adapted) one.close();
  model.close();
  return { differences, counts, texts: count, leaked: backend.bytesInUse() - before };
};
