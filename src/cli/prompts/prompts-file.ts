/**
 * Reads a file of prompts. Each line is JSON: a string, a list of token ids, or an object with a prompt and settings
 * for this prompt.
 */
import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError, DataError, ForetokenError } from "../../core/errors/errors.ts";
import { nearest } from "../../core/text/nearest.ts";
import { oneLine } from "../../core/text/one-line.ts";
import { compileConstraint } from "../../generate/constraint/compile.ts";
import type { EngineGenerateOptions } from "../../generate/engine-options.ts";
import { checkSlide, parseGenerateOptions, readPrompt } from "../../generate/options.ts";
import { parseLine } from "../../io/json-line.ts";
import { readLines } from "../../io/jsonl.node.ts";
import { checkAdapterName } from "../../pretrained/adapter/check.ts";
import type { UnknownChoice } from "../../tokenizer/unknown.ts";
import type { WorkerModel } from "../../worker/model.node.ts";
import { nothingIn } from "./nothing-in.ts";

/** A prompt of the file. */
export interface FilePrompt {
  /** Line number, from 1. */
  readonly line: number;
  readonly options: EngineGenerateOptions & { readonly prompt: string | readonly number[] };
  /** Id in the line. The id is copied to the output. */
  readonly id: string | number | undefined;
}

/** Settings that a line may contain. */
const ownSettings = [
  ...["maxNewTokens", "temperature", "topK", "topP", "minP", "typicalP", "repetitionPenalty", "presencePenalty"],
  ...[
    "frequencyPenalty",
    "seed",
    "stop",
    "badWords",
    "logitBias",
    "samplers",
    "slide",
    "endTokens",
    "adapter",
    "unknown",
    "constraint",
  ],
] as const;

const isPrompt = (value: unknown): value is string | readonly number[] =>
  typeof value === "string" || (Array.isArray(value) && value.every((id) => Number.isInteger(id)));

/** Parses a line. */
const parsePrompt = (where: string, text: string, line: number): FilePrompt => {
  const value = parseLine(text);
  if (isPrompt(value)) return { line, options: { prompt: value }, id: undefined };
  const must = 'each line must be JSON, such as "a text", [1, 2, 3] or {"prompt": "a text", "seed": 2}';
  if (!isRecord(value) || !isPrompt(value.prompt)) {
    throw new DataError({
      where,
      must,
      got: isRecord(value) ? "an object without a prompt" : oneLine(text.slice(0, 60)),
    });
  }
  const { id, prompt, ...settings } = value;
  if (id !== undefined && typeof id !== "string" && !(typeof id === "number" && Number.isFinite(id))) {
    throw new DataError({ where, must: "id must be a string or a number", got: oneLine(JSON.stringify(id)) });
  }
  const names: readonly string[] = ownSettings;
  const unknown = Object.keys(settings).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    const hint = nearest(unknown, ["id", "prompt", ...names]);
    const must = `a line may have the keys prompt, id, ${ownSettings.join(", ")}`;
    throw new DataError({ where, must, got: oneLine(unknown), ...(hint === undefined ? {} : { hint }) });
  }
  return { line, options: { ...settings, prompt }, id };
};

/** Runs `work`. An error names the line. */
const inLine = (where: string, work: () => unknown): void => {
  try {
    work();
  } catch (error) {
    if (!(error instanceof ForetokenError)) throw error;
    throw new DataError({ ...error.details, where, must: `${error.details.where}: ${error.details.must}` });
  }
};

/**
 * Reads and checks all prompts of a file. Empty lines are skipped.
 * @throws DataError or ConfigError that names the line.
 */
export const readPrompts = async (path: string): Promise<readonly FilePrompt[]> => {
  const prompts: FilePrompt[] = [];
  let line = 0;
  for await (const text of readLines(path)) {
    line++;
    if (text.trim() === "") continue;
    const where = `${path}: line ${line}`;
    const prompt = parsePrompt(where, text.trim(), line);
    const { adapter: _adapter, ...options } = prompt.options;
    inLine(where, () => parseGenerateOptions(options));
    prompts.push(prompt);
  }
  if (prompts.length > 0) return prompts;
  throw new ConfigError({
    where: "--prompts",
    must: "must be a file with one prompt on each line",
    got: nothingIn(path, line),
  });
};

/** @throws DataError that names the line, for a prompt or a setting that the model does not support. */
export const checkReadable = (
  path: string,
  prompts: readonly FilePrompt[],
  { tokenizer, config, adapters }: Pick<WorkerModel, "tokenizer" | "config" | "adapters">,
  unknown: UnknownChoice,
): void => {
  for (const { line, options } of prompts) {
    inLine(`${path}: line ${line}`, () => {
      const { prompt, adapter, slide = 0, constraint } = options;
      if (constraint !== undefined) compileConstraint(constraint, tokenizer);
      const { ids } = readPrompt(tokenizer, prompt, options.unknown ?? unknown, "prompt", "--unknown skip");
      const other = tokenizer.kind === "none" ? undefined : ids.find((id) => id >= tokenizer.vocabSize);
      if (other !== undefined) {
        const must = `token ids must be below ${tokenizer.vocabSize}`;
        throw new DataError({ where: "prompt", must, got: String(other) });
      }
      if (adapter !== undefined) checkAdapterName("adapter", adapter, adapters);
      checkSlide(slide, config);
    });
  }
};
