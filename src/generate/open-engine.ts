import { z } from "zod";
import { checkLanguageModel, checkOptions } from "../core/checks/check-arguments.ts";
import { parseConfig, withoutUndefined } from "../core/checks/config.ts";
import type { EngineCounts } from "../engine/engine.ts";
import { whileOpen } from "../pretrained/model/closed.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { createTextEngine, type EngineEvent, type EngineGenerateOptions } from "./text-engine.ts";

const engineOptionsSchema = z.strictObject({
  cacheBytes: z.number().positive(),
  maxSequences: z.int().positive(),
});

/** The sizes of an engine where none are named. */
export const engineDefaults = { cacheBytes: 2 ** 30, maxSequences: 64 };

/** Options of `openEngine`. */
export interface EngineOptions {
  /** Bytes of keys and values that are kept at most, but for one context of the model. Number above 0. Default 1 GiB. */
  readonly cacheBytes?: number | undefined;
  /** Texts that are written at the same time at most; others wait. Whole number from 1. Default 64. */
  readonly maxSequences?: number | undefined;
}

/** @throws ConfigError for a size out of range or unknown. */
export const parseEngineOptions = (options: EngineOptions): typeof engineDefaults => {
  checkOptions("openEngine: options", options);
  return parseConfig(engineOptionsSchema, { ...engineDefaults, ...withoutUndefined(options) }, "openEngine");
};

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
  /** Frees the cache; texts that are under way fail. The model stays open. A second call does nothing. */
  close(): Promise<void>;
}

/** Events that a text may be ahead of its reader. */
const mostAhead = 64;

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
  checkLanguageModel("openEngine: model", lm, "its own method, lm.generateMany()");
  const sizes = parseEngineOptions(options);
  const { generate, counts, close } = await whileOpen("openEngine", lm.model, async () =>
    createTextEngine(lm.adapted(null), sizes, mostAhead),
  );
  return { generate: (given) => generate(lm, given), counts, close };
};
