/** A new run that starts from the weights of another model: its configuration, its text and its first state. */

import type { RunConfig } from "../../config/config.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError, DataError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import type { TextSplit } from "../../data/corpus.ts";
import type { BlockRows } from "../../models/block-arena.ts";
import type { ModelConfig } from "../../models/config.ts";
import type { InitialWeights } from "../../runs/begin/initial-weights.ts";
import { freshProgress } from "../../runs/progress.ts";
import type { ResumedState } from "../../runs/store.ts";
import type { CharTokenizer } from "../../tokenizer/char.ts";
import { tokenizerConfigOf } from "../../tokenizer/from-config.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { describeCharacter } from "../../tokenizer/unknown.ts";
import { type StateArrays, stateLayouts, weightsName } from "../../trainer/state.ts";
import type { RunInput } from "../run/run-input.ts";

/** The configuration fields that the weights determine; the preset determines the other fields. */
export const configOfWeights = ({ config, tokenizer }: InitialWeights) => ({
  model: config,
  tokenizer: tokenizerConfigOf(tokenizer),
});

/** The first field that differs. */
interface Difference {
  readonly path: string;
  readonly has: unknown;
  readonly asked: unknown;
}

/** Finds the first difference between two plain values. `kind` is compared first, because other fields depend on it. */
const findDifference = (has: unknown, asked: unknown, path: string): Difference | undefined => {
  if (!isRecord(has) || !isRecord(asked)) {
    return JSON.stringify(has) === JSON.stringify(asked) ? undefined : { path, has, asked };
  }
  const keys = [...new Set(["kind", ...Object.keys(asked), ...Object.keys(has)])];
  for (const key of keys) {
    const found = findDifference(has[key], asked[key], path === "" ? key : `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
};

/**
 * Removes the fields that may differ between a run and its initial weights. These fields are dropout and, with rotary
 * position embeddings (which have no weights), the context length and the scaling of positions.
 */
const fixedPart = ({ dropout, contextLength, position, ...model }: ModelConfig): unknown => {
  if (position.kind !== "rope") return { ...model, position, contextLength };
  const { scaling, ...rest } = position;
  return { ...model, position: rest };
};

/** @throws ConfigError for a configuration that does not fit the weights. */
export const checkFits = ({ config, tokenizer, where }: InitialWeights, asked: RunConfig): void => {
  const found =
    findDifference(fixedPart(config), fixedPart(asked.model), "model") ??
    findDifference(tokenizerConfigOf(tokenizer), asked.tokenizer, "tokenizer");
  if (found === undefined) return;
  throw new ConfigError({
    where: `config.${found.path}`,
    must: `must match the weights in ${where}${found.has === undefined ? "" : `, ${show(found.has)}`}`,
    got: found.asked === undefined ? "none" : show(found.asked),
    hint: "leaving it out, or a new run without initFrom",
  });
};

/** Maximum number of characters that an error lists. */
const mostNamed = 5;

const isCharTokenizer = (tokenizer: Tokenizer): tokenizer is CharTokenizer => tokenizer.kind === "char";

/**
 * Makes a hint that says how to get a text without `characters`. It contains a command if the characters are few and
 * need no escapes in a shell.
 */
const withoutThem = (characters: readonly string[]): string => {
  const plain = characters.every((character) => /^[^\p{C}\p{M}\p{Z}'!%]$/u.test(character));
  if (!plain || characters.length > mostNamed) return "a text without these characters";
  // Each character gets an `s` command of its own. In a set, sed would match single bytes of a character if the locale
  // is not UTF-8.
  const commands = characters.map((one) => `s/${one.replace(/[.*[\]^$\\/]/gu, "\\$&")}//g`).join("; ");
  return `a text without these characters (sed '${commands}' FILE > NEW)`;
};

/**
 * Refuses a text with characters that the model does not know.
 * @param name name of the text.
 * @throws DataError that lists the most frequent unknown characters.
 */
export const checkAlphabet = ({ tokenizer, where }: InitialWeights, name: string, { train, val }: TextSplit): void => {
  // Tokenizers of other kinds encode every text, or throw an error that names the position of the fault.
  if (!isCharTokenizer(tokenizer)) return;
  const known = new Set(tokenizer.characters);
  const unknown = new Map<string, number>();
  for (const text of [train, val]) {
    for (const character of text) {
      if (!known.has(character)) unknown.set(character, (unknown.get(character) ?? 0) + 1);
    }
  }
  if (unknown.size === 0) return;
  const named = [...unknown]
    .sort(([, one], [, other]) => other - one)
    .slice(0, mostNamed)
    .map(([character]) => describeCharacter(character.codePointAt(0) ?? 0))
    .join(", ");
  const others = unknown.size === 1 ? "another" : `${unknown.size} others`;
  throw new DataError({
    where: name,
    must: `every character must be one of the ${known.size} that the model in ${where} knows`,
    got: `${others}${unknown.size > mostNamed ? ", as" : ":"} ${named}`,
    hint: `${withoutThem([...unknown.keys()])}, or a new run without initFrom`,
    characters: [...unknown.keys()],
  });
};

/** The state before the first step: the given weights, and moments of zero. */
const initialState = ({ weights, tokenizer }: InitialWeights, config: RunConfig): ResumedState => ({
  progress: freshProgress,
  take: (): StateArrays => {
    if (weights.kind !== "values") throw new Error("trained weights must be plain numbers");
    const arrays = new Map([[weightsName, weights.take()]]);
    for (const { name, layout } of stateLayouts(config, tokenizer.vocabSize)) {
      if (name !== weightsName) arrays.set(name, new Float32Array(layout.length));
    }
    return arrays;
  },
});

/** Rows of the base model that stay in blocks under adapters. */
export const baseRowsOf = (initial: InitialWeights | null): readonly BlockRows[] =>
  initial?.weights.kind === "blocks" ? initial.weights.rows : [];

/** First state of a run. */
export type FirstState = Pick<RunInput, "resume" | "base">;

/** The first state of a run with given weights. The run trains the weights, or adapters on top of them. */
export const firstState = (initial: InitialWeights, config: RunConfig): FirstState =>
  config.lora === undefined
    ? { resume: initialState(initial, config), base: null }
    : { resume: null, base: initial.weights };

/** The first state of a run that draws its weights at random. */
export const drawnState: FirstState = { resume: null, base: null };
