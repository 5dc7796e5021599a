import { checkKeys, checkLanguageModel, checkSignal } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { type EngineGenerateOptions, type EngineOptions, engineDefaults, engineOptionNames } from "./engine-options.ts";
import type { GenerateDoneEvent } from "./events.ts";
import { openEngine } from "./open-engine.ts";

/** A prompt of `generateMany`: a text, token ids, or an object of options. */
export type ManyPrompt = string | readonly number[] | Int32Array | EngineGenerateOptions;

/** A text of `generateMany`. */
export interface ManyText extends Omit<GenerateDoneEvent, "v" | "type" | "task"> {
  /** Index of the prompt, from 0. */
  readonly index: number;
  /** Ids of the tokens written. */
  readonly ids: readonly number[];
}

/**
 * Options of `generateMany`: options of the engine, and default options for every text. The options of a prompt
 * override the default options.
 */
export interface GenerateManyOptions extends EngineOptions, Omit<EngineGenerateOptions, "prompt"> {}

const optionsOf = (prompt: unknown): EngineGenerateOptions => {
  if (typeof prompt === "string" || Array.isArray(prompt) || prompt instanceof Int32Array) return { prompt };
  if (typeof prompt === "object" && prompt !== null) return prompt as EngineGenerateOptions;
  throw new ConfigError({
    where: "generateMany: prompts",
    must: "each must be a text, a list of token ids or an object of options",
    got: show(prompt),
  });
};

/** Starts one text for each prompt of a source. At most `most` started texts are unread by the reader. */
const readAhead = (
  prompts: Iterable<ManyPrompt> | AsyncIterable<ManyPrompt>,
  most: number,
  begin: (index: number, prompt: ManyPrompt) => Promise<ManyText | null>,
) => {
  const iterator =
    Symbol.asyncIterator in prompts
      ? prompts[Symbol.asyncIterator]()
      : (prompts as Iterable<ManyPrompt>)[Symbol.iterator]();
  const begun: Promise<ManyText | null>[] = [];
  let ended = false;
  let failure: { readonly error: unknown } | undefined;
  let wake = (): void => {};
  const change = (): Promise<void> =>
    new Promise<void>((resolve) => {
      const before = wake;
      wake = () => {
        before();
        resolve();
      };
    });
  const tell = (): void => {
    const all = wake;
    wake = () => {};
    all();
  };
  const read = async (): Promise<void> => {
    for (let index = 0; !ended; index++) {
      const next = await iterator.next();
      if (next.done === true || ended) break;
      const text = begin(index, await next.value);
      // Prevents an unhandled rejection. `next` throws the error later, when it reaches this text.
      text.catch(() => {});
      begun.push(text);
      tell();
      while (begun.length >= most && !ended) await change();
    }
  };
  void read()
    .catch((error: unknown) => {
      failure = { error };
    })
    .finally(() => {
      ended = true;
      tell();
    });
  return {
    /**
     * The next text in the order of the prompts. Null if the text was aborted. Undefined if there are no more texts.
     */
    async next(): Promise<ManyText | null | undefined> {
      while (begun.length === 0 && !ended) await change();
      const first = begun.shift();
      tell();
      if (first === undefined && failure !== undefined) throw failure.error;
      return first;
    },
    /** Stops reading prompts. */
    stop(): void {
      if (ended) return;
      ended = true;
      tell();
      // Do not await this call, because the source may itself be waiting.
      void Promise.resolve(iterator.return?.()).catch(() => {});
    },
  };
};

/**
 * Writes a text for each of many prompts, in batches. Each text is exactly the text that `generate` returns for its
 * prompt.
 *
 * @param prompts a list, or an iterable for `for await`. Prompts are read ahead: at most four times the number of texts
 * in a batch.
 * @param options of the engine and of the texts. After `signal` is aborted, no more texts are yielded.
 * @yields the texts in the order of their prompts.
 * @throws the errors of `generate`; the first error ends all texts.
 * @example
 * ```ts
 * import { generateMany, loadPretrained } from "foretoken";
 *
 * const lm = await loadPretrained("runs/notes/best");
 * for await (const { index, text } of generateMany(lm, ["The ", "the "], { maxNewTokens: 50 })) console.log(index, text);
 * await lm.close();
 * ```
 */
export async function* generateMany(
  lm: LanguageModel,
  prompts: Iterable<ManyPrompt> | AsyncIterable<ManyPrompt>,
  options: GenerateManyOptions = {},
): AsyncGenerator<ManyText, void, undefined> {
  if (
    typeof prompts !== "object" ||
    prompts === null ||
    !(Symbol.iterator in prompts || Symbol.asyncIterator in prompts)
  ) {
    throw new ConfigError({ where: "generateMany: prompts", must: "must be a list of prompts", got: show(prompts) });
  }
  checkLanguageModel("generateMany: model", lm, "the model's own method, lm.generateMany()");
  const ownNames = [...Object.keys(engineDefaults), ...engineOptionNames.filter((name) => name !== "prompt")];
  checkKeys("generateMany", options, ownNames);
  const { cacheBytes, maxSequences = engineDefaults.maxSequences, signal, ...shared } = options;
  checkSignal("generateMany: signal", signal);
  const engine = await openEngine(lm, { cacheBytes, maxSequences });
  const write = async (index: number, prompt: ManyPrompt): Promise<ManyText | null> => {
    const ids: number[] = [];
    try {
      for await (const event of engine.generate({ ...shared, ...optionsOf(prompt) })) {
        if (event.type === "token") ids.push(event.id);
        if (event.type !== "done") continue;
        const { v: _v, type: _type, task: _task, ...facts } = event;
        return { index, ids, ...facts };
      }
    } catch (error) {
      // An abort closes the engine, so the open texts fail. Their errors are dropped.
      if (signal?.aborted !== true) throw error;
    }
    return null;
  };
  // If the first text is long, finished texts wait for it. Later texts are still written during this time.
  const most = 4 * maxSequences;
  const source = readAhead(prompts, most, write);
  // One listener is used for all texts, so that the number of listeners does not grow.
  const endAll = (): void => {
    source.stop();
    void engine.close();
  };
  signal?.addEventListener("abort", endAll);
  try {
    if (signal?.aborted === true) return;
    for (let text = await source.next(); text != null; text = await source.next()) yield text;
  } finally {
    signal?.removeEventListener("abort", endAll);
    source.stop();
    await engine.close();
  }
}
