import { checkKeys, checkLanguageModel, checkSignal } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import type { GenerateDoneEvent } from "./events.ts";
import { type EngineOptions, engineDefaults, openEngine } from "./open-engine.ts";
import { type EngineGenerateOptions, engineOptionNames } from "./text-engine.ts";

/** A prompt of `generateMany`: a text, its token ids, or options of its own. */
export type ManyPrompt = string | readonly number[] | Int32Array | EngineGenerateOptions;

/** A text of `generateMany`. */
export interface ManyText extends Omit<GenerateDoneEvent, "v" | "type" | "task"> {
  /** Number of its prompt, from 0 on. */
  readonly index: number;
  /** Ids of the tokens that were written. */
  readonly ids: readonly number[];
}

/** Options of `generateMany`: those of an engine, and of every text that has none of its own. */
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

/** Begins a text for each prompt of a source, some ahead of those that are taken. */
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
      // An error is told when its turn comes.
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
    /** The next text in the order of the prompts; null: it was ended; undefined: there is none. */
    async next(): Promise<ManyText | null | undefined> {
      while (begun.length === 0 && !ended) await change();
      const first = begun.shift();
      tell();
      if (first === undefined && failure !== undefined) throw failure.error;
      return first;
    },
    /** Reads no more prompts. */
    stop(): void {
      if (ended) return;
      ended = true;
      tell();
      // A source that waits is not waited for.
      void Promise.resolve(iterator.return?.()).catch(() => {});
    },
  };
};

/**
 * Writes a text for each of many prompts, many at a time; each has the bits that `generate` gives it.
 *
 * @param prompts a list, or anything that is read with `for await`: at most four times as many are read ahead as are written at a
 *   time.
 * @param options of the engine and of the texts. When `signal` is aborted nothing more is yielded.
 * @yields the texts in the order of their prompts.
 * @throws as `generate`: the first failure ends all.
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
  checkLanguageModel("generateMany: model", lm, "its own method, lm.generateMany()");
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
      // The engine is closed then.
      if (signal?.aborted !== true) throw error;
    }
    return null;
  };
  // A long text at the front holds back the others that were written, but not their writing.
  const most = 4 * maxSequences;
  const source = readAhead(prompts, most, write);
  // One listener, however many texts there are.
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
