import { z } from "zod";
import { checkKeys, checkLanguageModel, checkOptions, checkSignal } from "../core/checks/check-arguments.ts";
import { parseConfig, withoutUndefined } from "../core/checks/config.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { createSequenceEngine, type EngineCounts } from "../engine/engine.ts";
import type { Model } from "../models/model.ts";
import { checkAdapterName } from "../pretrained/adapter/check.ts";
import { whileOpen } from "../pretrained/model/closed.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { defaultPrompt } from "./default-prompt.ts";
import type { GenerateEvent, PromptEvent } from "./events.ts";
import { type GenerateOptions, generateOptionNames, parseGenerateOptions, readPrompt } from "./options.ts";
import { promptScorer } from "./prompt-scorer.ts";
import { createTextWriter } from "./text-writer.ts";

const engineOptionsSchema = z.strictObject({
  cacheBytes: z.number().positive(),
  maxSequences: z.int().positive(),
});

/** Options of `openEngine`. */
export interface EngineOptions {
  /** Bytes of keys and values that are kept at most, but for one context of the model. Number above 0. Default 1 GiB. */
  readonly cacheBytes?: number | undefined;
  /** Texts that are written at the same time at most; others wait. Whole number from 1. Default 64. */
  readonly maxSequences?: number | undefined;
}

/** Options of a text of an engine. */
export interface EngineGenerateOptions extends Omit<GenerateOptions, "cache"> {
  /** One of the model's adapters, or null. Default: the one in use when the text is begun. */
  readonly adapter?: string | null | undefined;
  /**
   * true: the first event is `prompt`, with the log-probability of each of its tokens, and candidates where they are asked for. The
   * prompt must fit into the context. Default false.
   */
  readonly scorePrompt?: boolean | undefined;
}

/** What a text of an engine yields. */
export type EngineEvent = PromptEvent | GenerateEvent;

/** Writes many texts at once with one model. See `openEngine`. */
export interface Engine {
  /**
   * Writes a text beside all others that are under way: the events of `generate`, to the bit. The engine is some tokens ahead of its
   * reader. A reader that stops early ends the text.
   * @throws as `generate`, and ConfigError for an adapter that is none.
   */
  generate(options?: EngineGenerateOptions): AsyncGenerator<EngineEvent, void, undefined>;
  /** Counts since it was opened, and what it holds now. */
  counts(): EngineCounts;
  /** Ends all texts and frees the cache. The model stays open. A second call does nothing. */
  close(): Promise<void>;
}

/** Events that a text may be ahead of its reader; it goes on when half of them are read. */
const mostAhead = 64;

const adaptedModel = (lm: LanguageModel, adapter: string | null | undefined): Model => {
  if (adapter === undefined) return lm.model;
  checkAdapterName("generate: adapter", adapter, lm.adapters);
  return lm.adapted(adapter);
};

/** Events that wait for their reader. */
const eventQueue = () => {
  const events: EngineEvent[] = [];
  let wake = (): void => {};
  let changed = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const tell = (): void => {
    wake();
    changed = new Promise<void>((resolve) => {
      wake = resolve;
    });
  };
  return {
    push(event: EngineEvent): number {
      tell();
      return events.push(event);
    },
    shift: () => events.shift(),
    get length() {
      return events.length;
    },
    /** Fulfilled at the next event, or call of `tell`. */
    next: () => changed,
    tell,
  };
};

/**
 * Opens an engine that writes many texts at once with one model: they share its forward passes, and the keys and values of what they
 * begin with. Each text has the bits that it has alone.
 *
 * @param lm a model of `loadPretrained` or `languageModel`; it must stay open for as long as the engine is.
 * @returns an engine that is the caller's to close.
 * @throws ConfigError for an option out of range or unknown, a model that is closed, or if memory is short.
 * @example
 * ```ts
 * import { loadPretrained, openEngine } from "foretoken";
 *
 * const lm = await loadPretrained("runs/notes/best");
 * const engine = await openEngine(lm);
 * const write = async (seed: number) => {
 *   for await (const event of engine.generate({ prompt: "The ", seed })) if (event.type === "done") return event.text;
 * };
 * console.log(await Promise.all([1, 2, 3].map(write)));
 * await engine.close();
 * await lm.close();
 * ```
 */
export const openEngine = async (lm: LanguageModel, options: EngineOptions = {}): Promise<Engine> => {
  checkLanguageModel("openEngine: model", lm, "loadPretrained: a model in its own thread has none");
  checkOptions("openEngine: options", options);
  const sizes = parseConfig(
    engineOptionsSchema,
    { cacheBytes: 2 ** 30, maxSequences: 64, ...withoutUndefined(options) },
    "openEngine",
  );
  const engine = await whileOpen("openEngine", lm.model, async () => createSequenceEngine(lm.adapted(null), sizes));

  async function* generate(given: EngineGenerateOptions = {}): AsyncGenerator<EngineEvent, void, undefined> {
    checkKeys("generate", given, [...generateOptionNames.filter((name) => name !== "cache"), "adapter", "scorePrompt"]);
    const { signal, adapter, scorePrompt = false, ...rest } = given;
    checkSignal("generate: signal", signal);
    const model = adaptedModel(lm, adapter);
    const parsed = parseGenerateOptions(rest);
    const prompt = readPrompt(lm.tokenizer, parsed.prompt ?? defaultPrompt(lm.tokenizer), parsed.unknown);
    const { contextLength } = model.config;
    if (scorePrompt && prompt.ids.length > contextLength) {
      throw new ConfigError({
        where: "generate: scorePrompt",
        must: `the prompt must fit into the context of ${contextLength} tokens`,
        got: `${prompt.ids.length}`,
      });
    }
    const writer = createTextWriter(lm, parsed, prompt);
    const scorer = scorePrompt ? promptScorer(lm.tokenizer, prompt.ids, parsed.candidates) : null;
    const queue = eventQueue();
    let failure: { readonly error: unknown } | undefined;
    let ended = false;
    const writing = await whileOpen("generate", model, async () =>
      engine.write({
        model,
        prompt: Array.from(prompt.ids),
        maxNewTokens: parsed.maxNewTokens,
        choose(logits) {
          if (signal?.aborted === true) return null;
          if (writer.isFirst && scorer !== null) queue.push(scorer.event());
          const event = writer.write(logits);
          if (queue.push(event) >= mostAhead) writing.pause(true);
          return writer.finishReason === null ? event.id : null;
        },
        readPrompt: scorer?.read,
      }),
    );
    writing.ended
      .catch((error: unknown) => {
        failure = { error };
      })
      .finally(() => {
        ended = true;
        queue.tell();
      });
    const stop = (): void => writing.end();
    signal?.addEventListener("abort", stop);
    if (signal?.aborted === true) stop();
    try {
      while (!ended || queue.length > 0) {
        const changed = queue.next();
        const event = queue.shift();
        if (event === undefined) await changed;
        else {
          if (queue.length === mostAhead / 2) writing.pause(false);
          if (signal?.aborted !== true) yield event;
        }
      }
    } finally {
      signal?.removeEventListener("abort", stop);
      writing.end();
    }
    const left = failure;
    if (left !== undefined) {
      await whileOpen("generate", model, async () => {
        throw left.error;
      });
    }
    yield writer.done(signal?.aborted === true ? "aborted" : (writer.finishReason ?? "aborted"));
  }
  return { generate, counts: engine.counts, close: engine.close };
};
