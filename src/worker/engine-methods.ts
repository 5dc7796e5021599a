/** Methods of a model thread for engines. The caller opens the engines, and each engine has its own sizes. */
import { ConfigError } from "../core/errors/errors.ts";
import type { CallContext } from "../core/remote/server.ts";
import type { EngineCounts } from "../engine/engine.ts";
import type { EngineGenerateOptions, engineDefaults } from "../generate/engine-options.ts";
import { createTextEngine, type EngineEvent, type TextEngine } from "../generate/text-engine.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";

/**
 * Maximum number of events that a text may be ahead of its reader. With this maximum, several texts progress together.
 */
export const mostAhead = 8;

/** Engines by their keys. */
export interface OpenedEngines {
  /**
   * @param of key of the engine's model.
   * @returns the engine's key.
   */
  open(lm: LanguageModel, of: number, sizes: typeof engineDefaults): number;
  /** @throws ConfigError for a closed engine. */
  find(method: string, engine: number): TextEngine;
  close(engine: number): Promise<void>;
  /** Closes all engines of a model. */
  closeOf(model: number): Promise<void>;
}

export const openedEngines = (): OpenedEngines => {
  const opened = new Map<number, { readonly engine: TextEngine; readonly of: number }>();
  let count = 0;
  const close = async (key: number): Promise<void> => {
    const found = opened.get(key);
    opened.delete(key);
    await found?.engine.close();
  };
  return {
    open(lm, of, sizes) {
      opened.set(++count, { engine: createTextEngine(lm.adapted(null), sizes, mostAhead), of });
      return count;
    },
    find(method, key) {
      const found = opened.get(key);
      if (found !== undefined) return found.engine;
      throw new ConfigError({ where: method, must: "the engine must be open", got: "a closed engine" });
    },
    close,
    async closeOf(model) {
      for (const [key, { of }] of [...opened]) if (of === model) await close(key);
    },
  };
};

/**
 * @param modelOf finds a model by its key.
 * @param withDraft adds the draft model to the options of a text.
 */
export const engineMethods = (
  opened: OpenedEngines,
  modelOf: (method: string, key: number) => LanguageModel,
  withDraft: (key: number, options: EngineGenerateOptions) => EngineGenerateOptions,
) => ({
  async *openEngine({
    key,
    sizes,
  }: {
    readonly key: number;
    readonly sizes: typeof engineDefaults;
  }): AsyncGenerator<number, void> {
    yield opened.open(modelOf("openEngine", key), key, sizes);
  },

  async *generateBeside(
    {
      key,
      engine,
      options,
    }: { readonly key: number; readonly engine: number; readonly options: EngineGenerateOptions },
    { signal }: CallContext,
  ): AsyncGenerator<readonly EngineEvent[], void> {
    const given = { ...withDraft(key, options), signal };
    yield* opened.find("generate", engine).generateBatches(modelOf("generate", key), given);
  },

  async *engineCounts({ engine }: { readonly engine: number }): AsyncGenerator<EngineCounts, void> {
    yield opened.find("counts", engine).counts();
  },

  // biome-ignore lint/correctness/useYield: a call that yields nothing
  async *closeEngine({ engine }: { readonly engine: number }): AsyncGenerator<never, void> {
    await opened.close(engine);
  },
});
