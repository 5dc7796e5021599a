import { checkBoolean, checkKeys, checkSignal } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { createSequenceEngine, type EngineCounts, type EngineSizes } from "../engine/engine.ts";
import type { Model } from "../models/model.ts";
import { checkAdapterName } from "../pretrained/adapter/check.ts";
import { closedError, isClosed, whileOpen } from "../pretrained/model/closed.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { ReadText } from "../tokenizer/unknown.ts";
import type { CompiledConstraint } from "./constraint/compile.ts";
import { defaultPrompt } from "./default-prompt.ts";
import { type EngineGenerateOptions, engineOptionNames } from "./engine-options.ts";
import type { GenerateEvent, PromptEvent } from "./events.ts";
import { checkSlide, type GenerateOptions, type ParsedOptions, parseGenerateOptions, readPrompt } from "./options.ts";
import { promptScorer } from "./prompt-scorer.ts";
import { checkSpeculate, createDrafters } from "./speculation/speculate.ts";
import { createTextWriter } from "./text-writer.ts";

/** Events of one text of an engine. */
export type EngineEvent = PromptEvent | GenerateEvent;

/** An engine that writes texts. The engine turns the tokens of a sequence engine into text. */
export interface TextEngine {
  /** @param lm the engine's model, or a view of the model. */
  generate(lm: LanguageModel, options?: EngineGenerateOptions): AsyncGenerator<EngineEvent, void, undefined>;
  /**
   * Writes a text with options that were already checked. The function yields the events of `generate`: each list
   * contains one event.
   */
  write(lm: LanguageModel, text: CheckedText): AsyncGenerator<readonly EngineEvent[], void, undefined>;
  /**
   * Yields the events of `generate` in lists. Each list contains all new events. Use it if each list has a cost, such
   * as a message between threads.
   */
  generateBatches(
    lm: LanguageModel,
    options?: EngineGenerateOptions,
  ): AsyncGenerator<readonly EngineEvent[], void, undefined>;
  counts(): EngineCounts;
  close(): Promise<void>;
}

const adaptedModel = (lm: LanguageModel, adapter: string | null | undefined): Model => {
  if (adapter === undefined) return lm.model;
  checkAdapterName("generate: adapter", adapter, lm.adapters);
  return lm.adapted(adapter);
};

/** The error for a text after its engine was closed. The model may also be closed. */
const closedEngine = (model: Model): ConfigError =>
  isClosed(model)
    ? closedError("generate")
    : new ConfigError({ where: "generate", must: "the engine must be open", got: "a closed engine" });

/**
 * Time in milliseconds in which `generateBatches` collects events before it yields again. A person does not notice such
 * a short time.
 */
const gatherForMs = 4;

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Events that wait for their reader. */
const eventQueue = () => {
  const events: EngineEvent[] = [];
  let wake = (): void => {};
  let changed = Promise.resolve();
  const renew = (): void => {
    changed = new Promise<void>((resolve) => {
      wake = resolve;
    });
  };
  renew();
  const tell = (): void => {
    wake();
    renew();
  };
  return {
    push(event: EngineEvent): number {
      const length = events.push(event);
      tell();
      return length;
    },
    /** Removes and returns the first `most` events, or all events if there are fewer. */
    take: (most: number) => events.splice(0, most),
    get length() {
      return events.length;
    },
    /** Resolves at the next event, or at the next call of `tell`. */
    next: () => changed,
    tell,
  };
};

/** The checked options of a text, with its prompt. */
export interface CheckedText {
  readonly signal: AbortSignal | undefined;
  /** Writes it. */
  readonly model: Model;
  readonly parsed: ParsedOptions;
  readonly prompt: ReadText;
  readonly scorePrompt: boolean;
  readonly constraint: CompiledConstraint | null;
}

/** The compiler is imported only here, because most texts have no constraint. */
const compiled = async ({ constraint }: ParsedOptions, tokenizer: Tokenizer): Promise<CompiledConstraint | null> =>
  constraint === undefined ? null : (await import("./constraint/compile.ts")).compileConstraint(constraint, tokenizer);

/**
 * Checks the options of a text and reads its prompt.
 * @param names names of all known options.
 */
export const checkText = async (
  lm: LanguageModel,
  given: EngineGenerateOptions & Pick<GenerateOptions, "cache">,
  names: readonly string[],
): Promise<CheckedText> => {
  checkKeys("generate", given, names);
  const { signal, adapter, scorePrompt = false, ...rest } = given;
  checkSignal("generate: signal", signal);
  checkBoolean("generate: scorePrompt", scorePrompt);
  const model = adaptedModel(lm, adapter);
  const parsed = parseGenerateOptions(rest);
  const prompt = readPrompt(lm.tokenizer, parsed.prompt ?? defaultPrompt(lm.tokenizer), parsed.unknown);
  const { contextLength } = model.config;
  checkSlide(parsed.slide, model.config);
  checkSpeculate(parsed.speculate, lm);
  if (parsed.speculate !== false && !parsed.cache) {
    const must = "speculative decoding needs the KV cache";
    throw new ConfigError({
      where: "generate: speculate",
      must,
      got: "cache: false",
      hint: "cache: true, or speculate: false",
    });
  }
  if (scorePrompt && prompt.ids.length > contextLength) {
    throw new ConfigError({
      where: "generate: scorePrompt",
      must: `the prompt must fit into the context of ${contextLength} tokens`,
      got: `${prompt.ids.length}`,
    });
  }
  if (parsed.constrainedPrompt > (parsed.constraint === undefined ? 0 : prompt.ids.length)) {
    const must = "must be at most the number of prompt tokens, and 0 without a constraint";
    throw new ConfigError({ where: "generate: constrainedPrompt", must, got: String(parsed.constrainedPrompt) });
  }
  return { signal, model, parsed, prompt, scorePrompt, constraint: await compiled(parsed, lm.tokenizer) };
};

/**
 * @param model the model that writes the texts, directly or through its views.
 * @param mostAhead maximum number of unread events. Writing pauses at this number and resumes when half of the events
 * are read. With 0, each token is computed when the reader requests it.
 */
export const createTextEngine = (model: Model, sizes: EngineSizes, mostAhead: number): TextEngine => {
  const engine = createSequenceEngine(model, sizes);
  const drafters = createDrafters(sizes);

  /**
   * @param together maximum number of events in one list.
   * @param gatherMs time in milliseconds after a yield in which events are collected. The wait ends early if the number
   * of events reaches half of `mostAhead`, or if the text has ended. The first list does not wait.
   */
  async function* batches(
    lm: LanguageModel,
    { signal, model: own, parsed, prompt, scorePrompt, constraint }: CheckedText,
    together: number,
    gatherMs = 0,
  ): AsyncGenerator<readonly EngineEvent[], void, undefined> {
    const writer = createTextWriter(lm, parsed, prompt, constraint);
    const scorer = scorePrompt ? promptScorer(lm.tokenizer, prompt.ids, parsed.candidates) : null;
    const queue = eventQueue();
    let failure: { readonly error: unknown } | undefined;
    let ended = false;
    await whileOpen("generate", own, async () => {});
    const draft = parsed.cache ? drafters.of(parsed.speculate, writer) : undefined;
    // `choose` may use `writing`: it is called after a pass, so never before `write` has returned.
    const writing = engine.write({
      model: own,
      prompt: Array.from(prompt.ids),
      maxNewTokens: parsed.maxNewTokens,
      choose(logits) {
        if (signal?.aborted === true) return null;
        if (writer.isFirst && scorer !== null) queue.push(scorer.event());
        const event = writer.finishReason === null ? writer.write(logits) : null;
        if (event === null) return null;
        if (queue.push(event) >= mostAhead) writing.pause(true);
        return writer.finishReason === null ? event.id : null;
      },
      draft,
      slide: parsed.slide,
      recomputes: !parsed.cache && parsed.slide === 0,
      readPrompt: scorer?.read,
    });
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
    const shown = { text: "", newTokens: 0 };
    /** Earliest time of the next yield if only a few events have arrived. */
    let due = 0;
    let pause: Promise<void> | undefined;
    try {
      while (!ended || queue.length > 0) {
        if (queue.length === 0 && writer.finishReason === null && isClosed(own)) throw closedError("generate");
        const changed = queue.next();
        if (queue.length > 0 && queue.length < mostAhead / 2 && !ended) {
          const left = due - performance.now();
          if (left > 0) {
            pause ??= sleep(left);
            await Promise.race([changed, pause]);
            continue;
          }
        }
        const events = queue.take(together);
        // If `mostAhead` is 0, writing resumes only when the reader requests the next event.
        if (queue.length <= mostAhead / 2 && (mostAhead > 0 || events.length === 0)) writing.pause(false);
        if (events.length === 0) {
          await changed;
          continue;
        }
        // After an abort, unread tokens are dropped.
        if (signal?.aborted === true && (mostAhead > 0 || draft !== undefined)) continue;
        for (const event of events) {
          if (event.type !== "token") continue;
          shown.text += event.text;
          shown.newTokens++;
        }
        yield events;
        pause = undefined;
        due = gatherMs === 0 ? 0 : performance.now() + gatherMs;
      }
    } finally {
      signal?.removeEventListener("abort", stop);
      writing.end();
    }
    if (failure !== undefined) throw isClosed(own) ? closedError("generate", failure.error) : failure.error;
    const reason = signal?.aborted === true ? "aborted" : writer.finishReason;
    // The text has not ended and the reader did not abort it. So the engine was closed.
    if (reason === null) throw closedEngine(own);
    // After an abort, the last event counts only tokens that the reader has received.
    const done = { ...writer.done(reason), ...(parsed.speculate === false ? {} : { guesses: writing.guesses() }) };
    yield [reason === "aborted" ? { ...done, ...shown } : done];
  }

  return {
    async *generate(lm, given = {}) {
      const text = await checkText(lm, given, engineOptionNames);
      for await (const events of batches(lm, text, 1)) for (const event of events) yield event;
    },
    write: (lm, text) => batches(lm, text, 1),
    async *generateBatches(lm, given = {}) {
      yield* batches(lm, await checkText(lm, given, engineOptionNames), Number.POSITIVE_INFINITY, gatherForMs);
    },
    counts: engine.counts,
    async close() {
      await engine.close();
      await drafters.close();
    },
  };
};
