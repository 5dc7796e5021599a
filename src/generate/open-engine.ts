import { checkLanguageModel } from "../core/checks/check-arguments.ts";
import type { EngineCounts } from "../engine/engine.ts";
import { whileOpen } from "../pretrained/model/closed.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import type { EngineGenerateOptions } from "./engine-options.ts";
import { type EngineOptions, parseEngineOptions } from "./engine-options.ts";
import { createTextEngine, type EngineEvent } from "./text-engine.ts";

/** Writes many texts at once with one model. See `openEngine`. */
export interface Engine {
  /**
   * Writes one text in the same forward passes as all other open texts. The function yields the same events as
   * `generate`. The engine computes some tokens before the reader requests them. If the reader stops early, the text
   * ends.
   * @throws the errors of `generate`, and ConfigError for an unknown adapter.
   */
  generate(options?: EngineGenerateOptions): AsyncGenerator<EngineEvent, void, undefined>;
  /** Statistics of the engine: counts since it was opened, and its current state. */
  counts(): EngineCounts;
  /** Frees the KV cache. Open texts fail. The model stays open. A second call does nothing. */
  close(): Promise<void>;
}

/** Maximum number of unread events of a text. */
const mostAhead = 64;

/**
 * Opens an engine that writes many texts at once with one model. The texts share forward passes. Texts that begin with
 * the same tokens share the keys and values of these tokens. Each text is exactly the same as when it is written alone.
 *
 * @param lm a model of `loadPretrained` or `languageModel`; it must stay open until the engine is closed.
 * @returns the engine; the caller must close it.
 * @throws ConfigError if an option is unknown or out of range, if the model is closed, or if there is not enough
 * memory.
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
  checkLanguageModel("openEngine: model", lm, "the model's own method, lm.generateMany()");
  const sizes = parseEngineOptions(options);
  const { generate, counts, close } = await whileOpen("openEngine", lm.model, async () =>
    createTextEngine(lm.adapted(null), sizes, mostAhead),
  );
  return { generate: (given) => generate(lm, given), counts, close };
};
