/**
 * Options of an engine and of its texts, and their checks. They are separate from the engine, because a caller of
 * another thread needs only them.
 */
import { z } from "zod";
import { checkOptions } from "../core/checks/check-arguments.ts";
import { parseConfig, withoutUndefined } from "../core/checks/config.ts";
import { lazy } from "../core/lazy.ts";
import { type GenerateOptions, generateOptionNames } from "./options.ts";

const engineOptionsSchema = lazy(() =>
  z.strictObject({
    cacheBytes: z.number().positive(),
    maxSequences: z.int().positive(),
  }),
);

/** Default sizes of an engine. */
export const engineDefaults = { cacheBytes: 2 ** 30, maxSequences: 64 };

/** Options of `openEngine`. */
export interface EngineOptions {
  /**
   * Maximum size of the KV cache in bytes. One whole context of the model is always allowed, even if it needs more
   * bytes. Number above 0. Default 1 GiB.
   */
  readonly cacheBytes?: number | undefined;
  /** Maximum number of texts that are written at the same time; more texts wait. Whole number from 1. Default 64. */
  readonly maxSequences?: number | undefined;
}

/** @throws ConfigError for an option that is unknown or out of range. */
export const parseEngineOptions = (options: EngineOptions): typeof engineDefaults => {
  checkOptions("openEngine: options", options);
  return parseConfig(engineOptionsSchema(), { ...engineDefaults, ...withoutUndefined(options) }, "openEngine");
};

/** Options of one text of an engine. */
export interface EngineGenerateOptions extends Omit<GenerateOptions, "cache"> {
  /** Name of one of the model's adapters. Null means no adapter. Default: the current adapter when the text begins. */
  readonly adapter?: string | null | undefined;
  /**
   * True: the first event is `prompt`. This event contains the log-probability of each prompt token, and also
   * candidates if the option `candidates` is above 0. The prompt must fit into the context. Default false.
   */
  readonly scorePrompt?: boolean | undefined;
}

/** Names of the options for one text of an engine. */
export const engineOptionNames: readonly string[] = [
  ...generateOptionNames.filter((name) => name !== "cache"),
  ...["adapter", "scorePrompt"],
];
