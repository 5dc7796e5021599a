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

/**
 * Writes a text for each of many prompts, many at a time; each has the bits that `generate` gives it.
 *
 * @param prompts a list, or anything that is read with `for await`: so many are read ahead as are written at a time.
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
  // One listener, however many texts there are.
  const endAll = (): void => void engine.close();
  signal?.addEventListener("abort", endAll);
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
  const begun: Promise<ManyText | null>[] = [];
  try {
    let index = 0;
    for await (const prompt of prompts) {
      if (signal?.aborted === true) return;
      const begins = write(index++, prompt);
      // An error is told when its turn comes.
      begins.catch(() => {});
      begun.push(begins);
      if (begun.length < most) continue;
      const text = await begun.shift();
      if (text == null) return;
      yield text;
    }
    for (const begins of begun) {
      const text = await begins;
      if (text === null) return;
      yield text;
    }
  } finally {
    signal?.removeEventListener("abort", endAll);
    await engine.close();
  }
}
